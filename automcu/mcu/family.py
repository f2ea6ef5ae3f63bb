"""Families of parts: all that is known of one, beside its port in C and its boards' profiles.

Each family is a `Family` in a module of this package, which lists its own in `FAMILIES`. An
installed package may offer more, as entry points of the group "automcu.families" that each name
such a list.
"""

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module, metadata
from pathlib import Path

from automcu.errors import WrongInputError
from automcu.mcu.core import Core
from automcu.mcu.part import Part
from automcu.mcu.profile import Device

ENTRY_POINTS = "automcu.families"

Macros = dict[str, str]


@dataclass(frozen=True, slots=True)
class UsartLayout:
    """Register offsets of a USART, and the bits by which it is switched on."""

    status: int
    receive: int
    transmit: int
    control: int
    enable_bit: int
    always_set: int = 0


@dataclass(frozen=True, slots=True)
class MirroredBits:
    """Status bits that mirror others of the same register, `shift` places further up."""

    mask: int
    shift: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualRegisters:
    """What a virtual board of a family has, as far as a program that polls its serial line sees.

    `usart` is None where the part has Nordic's UARTE. `rom_address` and `rom_size` span system
    memory, which holds the boot loader and, at `flash_size_register`, the flash's size. `mirrored`
    are ready and status bits by register address, `always_set` bits that are set whatever was
    written, `at_reset` what registers hold after reset. All else of a peripheral is a register
    that remembers what was written to it. Addresses are those of the reference manuals.
    """

    usart: UsartLayout | None
    rom_address: int
    rom_size: int
    flash_size_register: int
    mirrored: Mapping[int, tuple[MirroredBits, ...]] = field(default_factory=dict)
    always_set: Mapping[int, int] = field(default_factory=dict)
    at_reset: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A family of parts, for which there is one port.

    `highest_hz` is the clock of the fastest part, from its datasheet. `ports` are the folders of
    the port's sources, and `linker_script` is a template; paths are absolute, or relative to
    automcu's own `firmware/`. Of the sources called clock_*.c only `clock_source` is used.
    `applications` are further folders of a project and the templates that they are copied from.
    `board_macros` gives what board.h defines for a board. `id_register` is the address of
    DBGMCU_IDCODE, if there is one. `esptool_chip` is esptool's name for a chip whose mask ROM
    copies the image to RAM, and `qemu_machine` that of Espressif's QEMU. `clock_note` is what a
    reader of latencies has to know of the clock; `debug_targets` are pyOCD's names for a part.
    `parts` are the part numbers, and `part_profile` makes the profile of one from the part's data
    and the shipped profiles; `part_prefixes` are what these numbers begin with.
    """

    name: str
    core: Core
    highest_hz: int
    ports: tuple[str | Path, ...]
    clock_source: str | None = None
    linker_script: str | Path = "ports/cortex_m/linker.ld.in"
    applications: Mapping[str, str | Path] = field(default_factory=dict)
    board_macros: Callable[[Device], Macros]
    virtual: VirtualRegisters | None = None
    id_register: int | None = None
    esptool_chip: str | None = None
    qemu_machine: str | None = None
    clock_note: Callable[[Device], str] | None = None
    debug_targets: Callable[[str], list[str]] = lambda part: [part]
    parts: str = ""
    part_prefixes: tuple[str, ...] = ()
    part_profile: Callable[[Part, Sequence[Device]], Device] | None = None


@cache
def families() -> Mapping[str, Family]:
    """All families by name: those of this package first, then those of other packages.

    Raises:
        WrongInputError: an entry point of another package cannot be loaded.
    """
    return _own_families() | _offered_families()


def family_named(name: str) -> Family:
    """The family of this name.

    Raises:
        WrongInputError: there is none.
    """
    known = _own_families()
    if name not in known:  # reading other packages' entry points takes a while
        known = dict(families())
    if name not in known:
        raise WrongInputError(
            f"There is no family {name!r} of parts. Choose one of: {', '.join(known)}."
        )
    return known[name]


def family_of(device: Device) -> Family:
    """The family of a device's part.

    Raises:
        WrongInputError: it is known no more.
    """
    return family_named(device.family)


def clock_note(device: Device) -> str | None:
    """What a reader of latencies has to know of the clock; None where the firmware sets it."""
    note = family_of(device).clock_note
    return note(device) if note else None


def pin_macros(role: str, port: int, number: int) -> Macros:
    """The macros for the pin that has a role, TRANSMIT or RECEIVE."""
    return {f"BOARD_{role}_PORT": f"{port}u", f"BOARD_{role}_PIN": f"{number}u"}


@cache
def _own_families() -> dict[str, Family]:
    package = import_module("automcu.mcu")
    modules = (
        import_module(f"automcu.mcu.{found.name}")
        for found in pkgutil.iter_modules(package.__path__)
    )
    own = (family for module in modules for family in getattr(module, "FAMILIES", ()))
    return {family.name: family for family in own}


def _offered_families() -> dict[str, Family]:
    offered: dict[str, Family] = {}
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        try:
            offered |= {family.name: family for family in entry.load()}
        except (ImportError, AttributeError, TypeError) as error:
            raise WrongInputError(
                f"The families of {entry.value} cannot be loaded ({error}). "
                "Mend or remove that package."
            ) from error
    return offered

"""Families of parts: all that is known of one, beside its port in C and its boards' profiles.

Each family is a `Family` in a module of this package, which lists its own in `FAMILIES`. An
installed package may offer more, as entry points of the group "automcu.families" that each name
such a list.

The `modm-devices` package (MPL-2.0) holds the data of STM32CubeMX and of Nordic's device files as
XML, one file for a group of parts; `db.json` beside them says which file has which part.
"""

import difflib
import json
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from automcu.errors import ToolError, WrongInputError
from automcu.mcu.core import Core
from automcu.mcu.profile import Device, Latency, MemoryRegion

PACKAGE = "modm-devices"

_VENDORS = ("stm32", "nrf")
_NEAREST_SHOWN = 4
_RESEMBLANCE = 0.6
# Of parts with two cores, the one that runs the application.
_APPLICATION_CORES = ("@m7", "@app", "@m4")

KB = 1024
BAUD_RATE = 115_200
_LEAST_DATA_BYTES = 16 * KB  # of a memory beside the arena's that is to hold stack and data
# Data and stack go here rather than beside the arena, where the part has such a memory.
_CORE_COUPLED = ("ccm", "dtcm")
_MAIN_RAM = ("sram", "ram", "d1_sram", "d2_sram")
_LEFT_OUT = ("sram4",)  # small, and in a power domain of its own


@dataclass(frozen=True)
class PartMemory:
    """One memory as the package names it; bytes."""

    name: str
    address: int
    size: int


@dataclass(frozen=True)
class SerialPins:
    """Pins of a USART ("PA9") and the number of the alternate function on them."""

    transmit: str
    receive: str
    alternate_function: int


@dataclass(frozen=True)
class Part:
    """One part number: what its profile is made from.

    `wait_states` are those at the highest core voltage, as pairs of wait states and the highest
    clock in hertz of the flash's bus. `die_id` is what the boot loader answers to GetID.
    """

    name: str
    core: str
    has_fpu: bool
    highest_hz: int | None
    die_id: int | None
    memories: tuple[PartMemory, ...]
    wait_states: tuple[tuple[int, int], ...]
    usart1: SerialPins | None


def find_part(name: str) -> Part:
    """Return the data of the part with this full number, such as "STM32F429ZIT6".

    Raises:
        WrongInputError: the package knows no such part; the message has the nearest names.
        ToolError: the package is missing or not as expected.
    """
    files = _files_by_part()
    wanted = re.sub(r"[\s_]", "", name.lower())
    for suffix in ("", *_APPLICATION_CORES):
        if wanted + suffix in files:
            return _read(wanted + suffix, files[wanted + suffix])
    raise WrongInputError(
        f"{PACKAGE} knows no part {name!r}. Give the full part number, as in "
        f"{', '.join(_nearest(wanted, files)) or 'STM32F429ZIT6'}."
    )


def package_version() -> str:
    """The installed version of the package, for the note on where figures come from."""
    return metadata.version(PACKAGE)


def _nearest(wanted: str, files: dict[str, Path]) -> list[str]:
    longer = [part for part in files if len(wanted) > len("stm32f4") and part.startswith(wanted)]
    found = longer or difflib.get_close_matches(wanted, files, _NEAREST_SHOWN, _RESEMBLANCE)
    return [part.partition("@")[0].upper() for part in found[:_NEAREST_SHOWN]]


@cache
def _files_by_part() -> dict[str, Path]:
    try:
        import modm_devices
    except ImportError as error:
        raise ToolError(
            f"The package {PACKAGE} is missing. Install it with: pip install {PACKAGE}"
        ) from error
    folder = Path(modm_devices.__file__).parent / "resources" / "devices"
    try:
        index: dict[str, dict[str, str]] = json.loads((folder / "db.json").read_text())
    except (OSError, ValueError) as error:
        raise ToolError(
            f"The package {PACKAGE} is damaged ({error}). Install it again: "
            f"pip install --force-reinstall {PACKAGE}"
        ) from error
    return {
        part: folder / file
        for parts in index.values()
        for part, file in parts.items()
        if part.startswith(_VENDORS)
    }


def _read(name: str, file: Path) -> Part:
    from modm_devices import parser

    devices = parser.DeviceParser().parse(str(file)).get_devices()
    device = next(device for device in devices if device.partname == name)
    core = device.get_driver("core")
    die = re.fullmatch(r"DIE([0-9A-F]{3})", str(device.properties.get("die", "")))
    return Part(
        name=name.partition("@")[0],
        core=core["type"],
        has_fpu="fpu" in core,
        highest_hz=_highest_hz(device),
        die_id=int(die.group(1), 16) if die else None,
        memories=tuple(
            PartMemory(memory["name"], int(memory["start"], 16), int(memory["size"]))
            for memory in core["memory"]
        ),
        wait_states=_wait_states(device),
        usart1=_usart1(device),
    )


def _highest_hz(device: Any) -> int | None:
    clock = device.get_driver("rcc") if device.has_driver("rcc") else None
    return max(int(hz) for hz in clock["max-frequency"]) if clock else None


def _wait_states(device: Any) -> tuple[tuple[int, int], ...]:
    flash = device.get_driver("flash") if device.has_driver("flash") else None
    tables = (flash or {}).get("latency", [])
    if not tables:
        return ()
    at_highest_voltage = max(tables, key=lambda table: int(table["vcore-min"]))
    return tuple((int(row["ws"]), int(row["hclk-max"])) for row in at_highest_voltage["wait-state"])


def _usart1(device: Any) -> SerialPins | None:
    """The first pins of USART1: PA9 and PA10 wherever the package has them."""
    if not device.has_driver("gpio"):
        return None
    pins: dict[str, tuple[str, int]] = {}
    for gpio in device.get_driver("gpio").get("gpio", []):
        for signal in gpio.get("signal", []):
            if (signal.get("driver"), signal.get("instance")) == ("usart", "1"):
                name = f"P{gpio['port'].upper()}{gpio['pin']}"
                pins.setdefault(signal["name"], (name, int(signal.get("af", 0))))
    if not {"tx", "rx"} <= set(pins):
        return None
    return SerialPins(pins["tx"][0], pins["rx"][0], pins["tx"][1])


def memory_regions(
    part: Part, coupled_name: str | None = None, coupled_is_seen_twice: bool = False
) -> Iterator[MemoryRegion]:
    """The first stretch of flash; data and stack apart from the arena where that is possible.

    `coupled_name` is what the core-coupled memory is called, if not as the package has it. A part
    that `coupled_is_seen_twice` on has it once more, right behind its first SRAM.
    """
    secure = ("_s",)  # the same memory, as the secure state sees it
    memories = [
        PartMemory(m.name.removesuffix("_ns"), m.address, m.size)
        for m in part.memories
        if not m.name.endswith(secure)
    ]
    flash = _joined([m for m in memories if m.name in ("flash", "flash1", "flash2")])[0]
    yield MemoryRegion(
        name="flash",
        kind="flash",
        address=flash.address,
        size=flash.size,
        holds=("code", "weights"),
    )
    coupled = [m for m in memories if m.name in _CORE_COUPLED and m.size >= _LEAST_DATA_BYTES]
    main = [
        m for m in memories if m.name.startswith(_MAIN_RAM) and not m.name.startswith(_LEFT_OUT)
    ]
    if coupled_is_seen_twice:
        end = main[0].address + main[0].size
        main += [PartMemory(memory.name, end, memory.size) for memory in coupled]
    blocks = _joined(main)
    if coupled_is_seen_twice and len(blocks) == 1:
        coupled = []
    for memory in coupled:
        yield MemoryRegion(
            name=coupled_name or memory.name,
            kind="ram",
            address=memory.address,
            size=memory.size,
            holds=("data", "stack"),
        )
    largest = max(blocks, key=lambda block: block.size)
    for index, block in enumerate(blocks):
        beside = block == largest and not coupled
        yield MemoryRegion(
            name="sram" if block == largest else f"sram_{index}",
            kind="ram",
            address=block.address,
            size=block.size,
            holds=("data", "stack", "arena") if beside else ("arena",),
        )


def nearest_latency(relative: Device, shipped: Sequence[Device]) -> tuple[tuple[Latency, ...], str]:
    """The figures of the nearest profile that has any: the relative's, or another's of its core."""
    with_figures = [one for one in shipped if one.core == relative.core and one.latency]
    if not with_figures:
        return (), f"none: no shipped profile of a {relative.core} has figures yet"
    nearest = min(
        with_figures,
        key=lambda one: (
            one.id != relative.id,
            one.family != relative.family,
            abs(one.flash_timing.wait_states - relative.flash_timing.wait_states),
            one.id,
        ),
    )
    # How far they are off on another part, nobody has checked.
    copied = tuple(one.model_copy(update={"network_percent": None}) for one in nearest.latency)
    return copied, (
        f"copied from {nearest.id}, the nearest {relative.core} with figures, whose "
        f"{nearest.flash_timing.wait_states} wait states they include; "
        "`automcu calibrate` fits them to this part"
    )


def _joined(memories: list[PartMemory]) -> list[PartMemory]:
    blocks: list[PartMemory] = []
    for memory in sorted(memories, key=lambda one: one.address):
        if blocks and blocks[-1].address + blocks[-1].size == memory.address:
            last = blocks.pop()
            memory = PartMemory(last.name, last.address, last.size + memory.size)
        blocks.append(memory)
    return blocks


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

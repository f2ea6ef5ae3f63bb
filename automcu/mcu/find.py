"""Boards, from their TOML files: reading and checking one, and finding the one that a user means.

There are those that automcu ships and those in the user's own folder.
"""

import difflib
import math
import os
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import combinations
from pathlib import Path

from pydantic import ValidationError

from automcu.errors import WrongInputError
from automcu.mcu.family import families, family_of
from automcu.mcu.profile import Device, FittedFigures, Latency, MemoryRegion
from automcu.records import resource_folder

_ADDRESS_SPACE = 1 << 32
_LARGEST_INTERNAL_BYTES = 16 << 20  # more than any microcontroller has on its die
_LARGEST_PSRAM_BYTES = 64 << 20
_SMALLEST_BYTES = 1 << 10  # less is a size in kilobytes
_SLOWEST_HZ = 1_000_000
_OSCILLATOR_HZ = range(1_000_000, 100_000_001)  # what the parts' clock inputs take, generously
_MILLIAMPERE = (0.1, 1000.0)
_VOLT = (1.0, 5.5)
_REGION_NAME = re.compile(r"[a-z][a-z0-9_]*")  # it becomes a name in the linker script
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")  # it becomes a string and a comment in C
_PERIPHERAL = re.compile(r"[A-Z][A-Z0-9_]*")  # it becomes a name in C
_USES = ("code", "weights", "data", "stack", "arena")
_SIGNIFICANT_DIGITS = 4  # of fitted coefficients
_BAUD_RATES = range(1_200, 4_000_001)


def first_contradiction(device: Device) -> str | None:
    """Return the first thing that cannot be true of `device` as "key: what was expected"."""
    return next(_contradictions(device), None)


def _contradictions(device: Device) -> Iterator[str]:
    yield from _name_problems(device)
    yield from _family_problems(device)
    for index, region in enumerate(device.memory):
        yield from _region_problems(index, region)
    yield from _layout_problems(device)
    yield from _flashing_problems(device)
    yield from _electrical_problems(device)
    yield from _all_latency_problems(device.latency)


def _name_problems(device: Device) -> Iterator[str]:
    for key, name in (("id", device.id), ("mcu", device.mcu)):
        if not _ID.fullmatch(name):
            yield f"{key}: expected letters, digits and . _ + -, got {name!r}"
    if not _PERIPHERAL.fullmatch(device.serial.peripheral):
        yield (
            "serial.peripheral: expected capital letters, digits and _, "
            f"got {device.serial.peripheral!r}"
        )


def _all_latency_problems(tables: Sequence[Latency]) -> Iterator[str]:
    for number, figures in enumerate(tables):
        yield from _latency_problems(f"latency[{number}]", figures)
    for compiler in ("gcc", "zig"):
        if sum(figures.compiler == compiler for figures in tables) > 1:
            yield f"latency: two tables are of {compiler}; expected one for each compiler"


def _latency_problems(key: str, figures: Latency) -> Iterator[str]:
    if not figures.coefficients:
        yield f"{key}.coefficients: expected cycles per unit of work; there are none"
    for name, cycles in figures.coefficients.items():
        if not 0 <= cycles < math.inf:
            yield f'{key}.coefficients."{name}": expected cycles, 0 or more, got {cycles:g}'
    for name, percent in (
        ("residual_percent", figures.residual_percent),
        ("network_percent", figures.network_percent),
    ):
        if percent is not None and not 0 <= percent < math.inf:
            yield f"{key}.{name}: expected percent, 0 or more, got {percent:g}"
    if figures.network_cycles < 0:
        yield f"{key}.network_cycles: expected cycles, 0 or more, got {figures.network_cycles}"


def _family_problems(device: Device) -> Iterator[str]:
    try:
        family = family_of(device)
    except WrongInputError:
        yield f"family: expected one of {', '.join(families())}, got {device.family!r}"
        return
    if device.core != family.core.name:
        yield f"core: {device.family} has a {family.core.name}, not a {device.core}"
    if not _SLOWEST_HZ <= device.clock_hz <= family.highest_hz:
        yield (
            f"clock_hz: expected {_SLOWEST_HZ} to {family.highest_hz} for {device.family}, "
            f"got {device.clock_hz}"
        )
    if device.oscillator.hz not in _OSCILLATOR_HZ:
        yield (
            f"oscillator.hz: expected hertz, {_OSCILLATOR_HZ.start} to {_OSCILLATOR_HZ.stop - 1}, "
            f"got {device.oscillator.hz}"
        )


def _region_problems(index: int, region: MemoryRegion) -> Iterator[str]:
    key = f"memory[{index}]"
    largest = _LARGEST_PSRAM_BYTES if region.kind == "psram" else _LARGEST_INTERNAL_BYTES
    if not _REGION_NAME.fullmatch(region.name):
        yield f"{key}.name: expected lower-case letters, digits and _, got {region.name!r}"
    if not _SMALLEST_BYTES <= region.size <= largest:
        yield (
            f"{key}.size: expected {_SMALLEST_BYTES} to {largest} bytes for {region.kind}, "
            f"got {region.size}"
        )
    if region.address < 0 or region.address + region.size > _ADDRESS_SPACE:
        yield f"{key}.address: the region must lie within 32 address bits"
    writable = {"data", "stack", "arena"}.intersection(region.holds)
    if region.kind == "flash" and writable:
        yield f"{key}.holds: flash cannot hold {min(writable)}"


def _layout_problems(device: Device) -> Iterator[str]:
    names = [region.name for region in device.memory]
    for name in names:
        if names.count(name) > 1:
            yield f"memory: two regions are named {name!r}"
    for one, other in combinations(device.memory, 2):
        if one.address < other.address + other.size and other.address < one.address + one.size:
            yield f"memory: regions {one.name!r} and {other.name!r} overlap"
    for use in _USES:
        if not any(use in region.holds for region in device.memory):
            yield f"memory: no region holds {use!r}"


def _flashing_problems(device: Device) -> Iterator[str]:
    flashing = device.flashing
    sectors = sum(flashing.flash_sector_bytes)
    if flashing.flash_sectors and sectors != device.flash_bytes:
        yield (
            f"flashing.flash_sectors: expected {device.flash_bytes} bytes in all, "
            f"the size of the flash, got {sectors}"
        )
    if "usart-bootloader" in flashing.methods:
        for key in ("bootloader_device_id", "bootloader_address", "flash_sectors"):
            if not getattr(flashing, key):
                yield f"flashing.{key}: the method usart-bootloader needs it"


def _electrical_problems(device: Device) -> Iterator[str]:
    timing = device.flash_timing
    if min(timing.wait_states, timing.instruction_lines, timing.data_lines) < 0:
        yield "flash_timing: wait states and lines cannot be negative"
    if timing.line_bytes <= 0:
        yield f"flash_timing.line_bytes: expected a positive number, got {timing.line_bytes}"
    if device.serial.baud_rate not in _BAUD_RATES:
        yield (
            f"serial.baud_rate: expected {_BAUD_RATES.start} to {_BAUD_RATES.stop - 1}, "
            f"got {device.serial.baud_rate}"
        )
    for name, value, (lowest, highest), unit in (
        ("active_milliampere", device.power.active_milliampere, _MILLIAMPERE, "milliampere"),
        ("supply_volt", device.power.supply_volt, _VOLT, "volt"),
    ):
        if not lowest <= value <= highest:  # NaN, too
            yield f"power.{name}: expected {lowest:g} to {highest:g} {unit}, got {value:g}"
    if not device.sources:
        yield "sources: every figure needs its datasheet or reference manual"


def load_profile(path: Path) -> Device:
    """Read and check the profile at `path`, with the figures that are fitted for it beside it.

    Raises:
        WrongInputError: the file is missing, is not TOML, has an unknown, missing or wrong key,
            or describes a board that cannot exist; the message names file, key and expectation.
    """
    return _with_figures(_written_profile(path), (), (path.parent,))


def fitted_path(folder: Path, device_id: str) -> Path:
    """Where the figures that are fitted for a board lie in a folder of profiles."""
    return folder / "fitted" / f"{device_id}.json"


def save_figures(folder: Path, device_id: str, *tables: Latency) -> Path:
    """Put tables of figures into a folder of profiles; those of other compilers stay.

    Raises:
        WrongInputError: the folder cannot be written to, or what is there is damaged.
    """
    known = {table.compiler: table for table in _figures(folder, device_id)}
    fitted = {table.compiler: _rounded(table) for table in tables}
    path = fitted_path(folder, device_id)
    FittedFigures(latency=tuple((known | fitted).values())).save(path)
    return path


def _rounded(table: Latency) -> Latency:
    coefficients = {
        unit: float(f"{cycles:.{_SIGNIFICANT_DIGITS}g}")
        for unit, cycles in sorted(table.coefficients.items())
    }
    return table.model_copy(update={"coefficients": coefficients})


def _with_figures(device: Device, before: Iterable[Path], after: Iterable[Path]) -> Device:
    """The device with the figures of folders that come before and after its profile's tables."""
    tables = {
        table.compiler: table
        for found in (
            *(_figures(folder, device.id) for folder in before),
            device.latency,
            *(_figures(folder, device.id) for folder in after),
        )
        for table in found
    }
    return device.model_copy(update={"latency": tuple(tables.values())})


def _figures(folder: Path, device_id: str) -> tuple[Latency, ...]:
    path = fitted_path(folder, device_id)
    if not path.is_file():
        return ()
    figures = FittedFigures.load(path).latency
    problem = next(_all_latency_problems(figures), None)
    if problem is not None:
        raise WrongInputError(f"{path}: {problem}. Delete it, and fit the figures again.")
    return figures


def _written_profile(path: Path) -> Device:
    """What a person wrote, checked."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WrongInputError(
            f"{path} cannot be read ({error.strerror}). Check the profile's path."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongInputError(f"{path} is not TOML: {error}. Correct that line.") from error
    try:
        device = Device.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise WrongInputError(
            f"{path}: {_key(first['loc'])}: {first['msg']}. "
            "Correct the key; docs/profiles.md lists all of them."
        ) from error
    problem = first_contradiction(device)
    if problem is None and device.id != path.stem:
        problem = f"id: must be the file's name, {path.stem!r}, and is {device.id!r}"
    if problem is not None:
        raise WrongInputError(f"{path}: {problem}. Correct the profile.")
    return device


def _key(location: tuple[int | str, ...]) -> str:
    """Write a location as in TOML: memory[2].size."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).lstrip(".")


_USER_FOLDER_VARIABLE = "AUTOMCU_PROFILES"


def all_devices() -> dict[str, Device]:
    """Return every known device by id, in the order of the ids.

    A profile in the user's own folder replaces a shipped one of the same id, and one in the
    folder that $AUTOMCU_PROFILES names replaces both; so do the figures that are fitted for it.

    Raises:
        WrongInputError: a profile is wrong, or $AUTOMCU_PROFILES is not a folder.
    """
    devices = shipped_devices()
    own = (path for folder in _user_folders() for path in _own_files(folder))
    for name in sorted({path.stem for path in own}):
        device = device_with_id(name)
        if device is not None:
            devices[name] = device
    return dict(sorted(devices.items()))


def device_with_id(device_id: str) -> Device | None:
    """Return the device with exactly this id, reading no other profile; None where there is none.

    Raises:
        WrongInputError: its profile is wrong, or $AUTOMCU_PROFILES is not a folder.
    """
    if Path(device_id).name != device_id:
        return None
    folders = (resource_folder("hw_profiles"), *_user_folders())
    for at in reversed(range(len(folders))):
        path = folders[at] / f"{device_id}.toml"
        if path.is_file():
            return _with_figures(_written_profile(path), folders[:at], folders[at:])
    return None


def shipped_devices() -> dict[str, Device]:
    """Return the devices that come with automcu, by id."""
    return dict(_devices_in(resource_folder("hw_profiles")))


def user_folder() -> Path:
    """Where a user's own profiles are written: $AUTOMCU_PROFILES, or the configuration folder.

    Raises:
        WrongInputError: the user has no home folder.
    """
    named = os.environ.get(_USER_FOLDER_VARIABLE)
    folder = Path(named) if named else _own_folder()
    if folder is None:
        raise WrongInputError(
            f"There is no home folder for profiles. Name a folder in {_USER_FOLDER_VARIABLE}."
        )
    return folder


def _user_folders() -> list[Path]:
    """The user's folders that exist; profiles in a later one replace those in an earlier one."""
    named = os.environ.get(_USER_FOLDER_VARIABLE)
    if named and not Path(named).is_dir():
        raise WrongInputError(
            f"{_USER_FOLDER_VARIABLE} names {named}, which is not a folder. Correct or unset it."
        )
    folders = dict.fromkeys((_own_folder(), Path(named) if named else None))
    return [folder for folder in folders if folder is not None and folder.is_dir()]


def _own_folder() -> Path | None:
    root = os.environ.get("APPDATA" if sys.platform == "win32" else "XDG_CONFIG_HOME")
    try:
        return (Path(root) if root else Path.home() / ".config") / "automcu" / "hw_profiles"
    except RuntimeError:
        return None


def _own_files(folder: Path) -> Iterator[Path]:
    yield from folder.glob("*.toml")
    yield from fitted_path(folder, "").parent.glob("*.json")


@cache
def _devices_in(folder: Path) -> dict[str, Device]:
    return {path.stem: load_profile(path) for path in sorted(folder.glob("*.toml"))}


_NEAREST_SHOWN = 3
_RESEMBLANCE = 0.5
_SHORTEST_PREFIX = 3


def find_device(name: str) -> Device:
    """Return the device that `name` means: an id, alias, MCU or board name in any spelling.

    Upper and lower case, spaces and punctuation do not matter. Words around the name are allowed
    ("STM32F407 discovery board"), and so is the beginning of a name if only one device has it.

    Raises:
        WrongInputError: no device is called that (the message has the nearest names), or several
            are (the message lists them).
    """
    # A profile of a bare part may be called as a board's MCU is: an id comes first.
    called = device_with_id(name)
    if called is not None:
        return called
    devices = all_devices()
    names = {device_id: _names(device) for device_id, device in devices.items()}
    for matches in (_exact(name, names), _within(name, names), _beginning(name, names)):
        if len(matches) == 1:
            return devices[matches[0]]
        if matches:
            raise WrongInputError(f"{name!r} may be {_listed(matches)}. Name one of them.")
    raise WrongInputError(
        f"There is no device {name!r}. Did you mean {_listed(_nearest(name, names))}? "
        "`automcu devices` lists all."
    )


def _names(device: Device) -> set[str]:
    return {_squash(n) for n in (device.id, device.name, device.mcu, *device.aliases)}


def _squash(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _exact(name: str, names: dict[str, set[str]]) -> list[str]:
    wanted = _squash(name)
    return [device_id for device_id, known in names.items() if wanted in known]


def _within(name: str, names: dict[str, set[str]]) -> list[str]:
    """Devices named by the longest run of whole words in `name` that names any."""
    words = [_squash(word) for word in name.split()]
    for length in range(len(words) - 1, 0, -1):
        for start in range(len(words) - length + 1):
            matches = _exact("".join(words[start : start + length]), names)
            if matches:
                return matches
    return []


def _beginning(name: str, names: dict[str, set[str]]) -> list[str]:
    wanted = _squash(name)
    if len(wanted) < _SHORTEST_PREFIX:
        return []
    return [
        device_id
        for device_id, known in names.items()
        if any(one.startswith(wanted) for one in known)
    ]


def _nearest(name: str, names: dict[str, set[str]]) -> list[str]:
    """Return the ids whose names resemble `name` most, all ids if none does."""
    by_name = {one: device_id for device_id, known in names.items() for one in sorted(known)}
    close = difflib.get_close_matches(_squash(name), by_name, len(by_name), _RESEMBLANCE)
    ids = list(dict.fromkeys(by_name[one] for one in close))
    return ids[:_NEAREST_SHOWN] or list(names)


def _listed(ids: list[str]) -> str:
    if len(ids) == 1:
        return ids[0]
    return f"{', '.join(ids[:-1])} or {ids[-1]}"

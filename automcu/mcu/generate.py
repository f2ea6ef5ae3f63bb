"""A profile for any part of a family that has one, made from the part's data, and written as TOML.

The `modm-devices` package (MPL-2.0) holds the data of STM32CubeMX and of Nordic's device files as
XML, one file for a group of parts; `db.json` beside them says which file has which part. Core,
memory, wait states, pins and the boot loader's id come from there. What the package does not know
(the cache in front of the flash, the supply current, the latency figures) is taken from the shipped
profile that is nearest, and `sources` says so. A bare part has no crystal that one could count on:
the clock is made from its own oscillator.
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from automcu.errors import ToolError, WrongInputError
from automcu.mcu.find import load_profile
from automcu.mcu.profile import (
    Device,
    Family,
    Flashing,
    FlashTiming,
    Latency,
    MemoryRegion,
    Oscillator,
    Power,
    SectorRun,
    SerialPort,
)
from automcu.records import write_atomically

PACKAGE = "modm-devices"

_VENDORS = ("stm32", "nrf")
_NEAREST_SHOWN = 4
_RESEMBLANCE = 0.6
# Of parts with two cores, the one that runs the application.
_APPLICATION_CORES = ("@m7", "@app", "@m4")


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


_KB = 1024
_BAUD_RATE = 115_200
_LEAST_DATA_BYTES = 16 * _KB  # of a memory beside the arena's that is to hold stack and data


@dataclass(frozen=True)
class _Family:
    """What all parts of a family share and the package does not say.

    `sector_kb` are the sizes of the flash's first sectors, the last one repeating; USART1's
    address, the oscillator and the ratio of core to flash clock are from the reference manual.
    """

    family: Family
    usart1: int
    oscillator_hz: int
    sector_kb: tuple[int, ...]
    manual: str
    flash_clock_divider: int = 1


_F4_SECTORS = (16, 16, 16, 16, 64, 128)
_F7_SECTORS = (32, 32, 32, 32, 128, 256)
_FAMILIES = {
    "stm32f4": _Family("stm32f4", 0x4001_1000, 16_000_000, _F4_SECTORS, "ST RM0090"),
    # RM0431: the F72x and F73x have the F4's smaller sectors.
    "stm32f72": _Family("stm32f7", 0x4001_1000, 16_000_000, _F4_SECTORS, "ST RM0431"),
    "stm32f73": _Family("stm32f7", 0x4001_1000, 16_000_000, _F4_SECTORS, "ST RM0431"),
    "stm32f7": _Family("stm32f7", 0x4001_1000, 16_000_000, _F7_SECTORS, "ST RM0385 and RM0410"),
    "stm32l4": _Family("stm32l4", 0x4001_3800, 16_000_000, (2,), "ST RM0351 and RM0394"),
    # RM0432: with two banks, as delivered.
    **{
        f"stm32l4{line}": _Family("stm32l4", 0x4001_3800, 16_000_000, (4,), "ST RM0432")
        for line in "pqrs"
    },
    **{
        f"stm32h7{line}": _Family(
            "stm32h7", 0x4001_1000, 64_000_000, (128,), "ST RM0433 and RM0468", 2
        )
        for line in "2345"
    },
    "stm32u5": _Family("stm32u5", 0x4001_3800, 16_000_000, (8,), "ST RM0456"),
}
# What the package has too low, or leaves out: RM0432 (L4+ at 120 MHz in boost mode, 5 wait
# states), RM0385 (F7 above 210 MHz, 7), and the speed that the firmware sets on the H72x and
# H73x (RM0468: 520 MHz; 550 need a setting of the option bytes).
_L4_PLUS = ("stm32l4p", "stm32l4q", "stm32l4r", "stm32l4s")
_L4_PLUS_HZ, _L4_PLUS_WAIT_STATES = 120_000_000, 5
_F7_FASTEST_HZ, _F7_WAIT_STATES = 216_000_000, 7
_H72_HIGHEST_HZ = 520_000_000

# Data and stack go here rather than beside the arena, where the part has such a memory.
_CORE_COUPLED = {"ccm": "ccm", "dtcm": "dtcm"}
_MAIN_RAM = ("sram", "ram", "d1_sram", "d2_sram")
_LEFT_OUT = ("sram4",)  # small, and in a power domain of its own


def profile_of(part: Part, shipped: Sequence[Device]) -> Device:
    """Return the profile of a bare part.

    Raises:
        WrongInputError: there are no profiles for the part's family.
    """
    if part.name.startswith("nrf5"):
        return _nordic(part, shipped)
    family = _family(part)
    relative = _nearest_relative(part, [one for one in shipped if one.family == family.family])
    clock_hz = _clock_hz(part)
    if part.core != relative.core or part.usart1 is None or part.die_id is None:
        raise WrongInputError(
            f"{part.name.upper()} lacks what a profile needs: a {relative.core}, USART1 and a boot "
            "loader's id. Write its profile by hand; docs/profiles.md lists the keys."
        )
    memory = tuple(_memory(part))
    flash_bytes = sum(region.size for region in memory if region.kind == "flash")
    latency, latency_source = _latency(relative, shipped)
    origin = f"{PACKAGE} {package_version()}"
    return Device(
        id=part.name,
        name=part.name.upper(),
        mcu=part.name.upper(),
        aliases=(),
        family=family.family,
        core=relative.core,
        isa=relative.isa,
        clock_hz=clock_hz,
        oscillator=Oscillator(source="internal", hz=family.oscillator_hz),
        memory=memory,
        flash_timing=relative.flash_timing.model_copy(
            update={"wait_states": _wait_states_at(part, clock_hz, family)}
        ),
        serial=SerialPort(
            peripheral="USART1",
            address=family.usart1,
            transmit_pin=part.usart1.transmit,
            receive_pin=part.usart1.receive,
            alternate_function=part.usart1.alternate_function,
            baud_rate=_BAUD_RATE,
        ),
        usb=(),
        flashing=Flashing(
            methods=("usart-bootloader", "swd"),
            bootloader_device_id=part.die_id,
            bootloader_address=relative.flashing.bootloader_address,
            flash_sectors=tuple(_sectors(flash_bytes, family.sector_kb)),
        ),
        power=_power(relative, clock_hz),
        latency=latency,
        sources={
            "memory": origin,
            "clock_hz": f"{origin}; {family.manual}",
            "flash_timing": f"wait states: {origin}, {family.manual}; lines as of {relative.id}",
            "oscillator": f"{family.manual}: the part's own, as a bare part has no crystal",
            "serial": f"pins: {origin}; address: {family.manual}",
            "flashing": f"boot loader's id: {origin}; its address as of {relative.id}; "
            f"sectors: {family.manual}",
            "power": f"scaled by the clock from {relative.id}: an estimate, not a datasheet's",
            "latency": latency_source,
        },
    )


def _family(part: Part) -> _Family:
    for length in (len("stm32h72"), len("stm32f4")):
        if part.name[:length] in _FAMILIES:
            return _FAMILIES[part.name[:length]]
    raise WrongInputError(
        f"There is no firmware for {part.name.upper()} ({part.core}). Choose a part of the "
        "STM32F4, F7, L4, H72x to H75x, U5, nRF52 or nRF53."
    )


def _nearest_relative(part: Part, relatives: Sequence[Device]) -> Device:
    return max(
        relatives,
        key=lambda one: (_shared_letters(part.name, one.mcu.lower()), bool(one.latency)),
    )


def _shared_letters(one: str, other: str) -> int:
    """How many letters both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _clock_hz(part: Part) -> int:
    if part.name.startswith(_L4_PLUS):
        return _L4_PLUS_HZ
    highest = part.highest_hz or 0
    if part.name.startswith(("stm32h72", "stm32h73")):
        return min(highest, _H72_HIGHEST_HZ)
    return highest


def _wait_states_at(part: Part, clock_hz: int, family: _Family) -> int:
    if part.name.startswith(_L4_PLUS):
        return _L4_PLUS_WAIT_STATES
    if family.family == "stm32f7" and clock_hz == _F7_FASTEST_HZ:
        return _F7_WAIT_STATES
    flash_hz = clock_hz // family.flash_clock_divider
    enough = [states for states, highest in part.wait_states if highest >= flash_hz]
    return min(enough) if enough else max(states for states, _ in part.wait_states)


def _memory(part: Part) -> Iterator[MemoryRegion]:
    """The first stretch of flash, data and stack apart from the arena where that is possible."""
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
    blocks = _joined(_with_alias(part, coupled, main))
    if part.name.startswith(_L4_PLUS) and len(blocks) == 1:
        coupled = []
    for memory in coupled:
        yield MemoryRegion(
            name="sram2" if part.name.startswith("stm32l4") else memory.name,
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


def _with_alias(part: Part, coupled: list[PartMemory], main: list[PartMemory]) -> list[PartMemory]:
    """Add the L4+'s SRAM2 where it is seen between SRAM1 and SRAM3 (RM0432, memory map)."""
    if not part.name.startswith(_L4_PLUS):
        return main
    end = main[0].address + main[0].size
    return [*main, *(PartMemory("sram2", end, memory.size) for memory in coupled)]


def _joined(memories: list[PartMemory]) -> list[PartMemory]:
    blocks: list[PartMemory] = []
    for memory in sorted(memories, key=lambda one: one.address):
        if blocks and blocks[-1].address + blocks[-1].size == memory.address:
            last = blocks.pop()
            memory = PartMemory(last.name, last.address, last.size + memory.size)
        blocks.append(memory)
    return blocks


def _sectors(flash_bytes: int, sector_kb: tuple[int, ...]) -> Iterator[SectorRun]:
    """Sectors from the flash's start; of two megabytes each begins anew on an F4 (RM0090, 3.3)."""
    two_banks = sector_kb == _F4_SECTORS and flash_bytes == 2048 * _KB
    bank = flash_bytes // 2 if two_banks else flash_bytes
    for start in range(0, flash_bytes, bank):
        rest = min(bank, flash_bytes - start)
        sizes = [_KB * kb for kb in sector_kb]
        while rest:
            size = min(sizes[0], rest)
            count = 1
            if len(sizes) == 1:
                count = rest // size
            else:
                while (
                    count < len(sizes) - 1 and sizes[count] == size and rest >= (count + 1) * size
                ):
                    count += 1
                sizes = sizes[count:]
            yield SectorRun(count=count, bytes=size)
            rest -= count * size


def _power(relative: Device, clock_hz: int) -> Power:
    scale = clock_hz / relative.clock_hz
    return relative.power.model_copy(
        update={"active_milliampere": round(relative.power.active_milliampere * scale, 1)}
    )


def _latency(relative: Device, shipped: Sequence[Device]) -> tuple[tuple[Latency, ...], str]:
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


_NORDIC_PAGE_BYTES = 4 * _KB  # NVMC chapter, of both families
_NORDIC_PINS = SerialPort(
    peripheral="UARTE0",
    address=0x4000_2000,
    transmit_pin="P0.06",
    receive_pin="P0.08",
    alternate_function=0,
    baud_rate=_BAUD_RATE,
)
_NRF52_HZ = 64_000_000
# nRF52832 Product Specification: two wait states without the cache (CPU chapter), which is on the
# bus for code only; its lines are 128 bits, and 2 KB is the least that a part of the family has.
_NRF52_FLASH = FlashTiming(wait_states=2, line_bytes=16, instruction_lines=128, data_lines=0)
# nRF52832 Product Specification: 215 CoreMark at 58 CoreMark/mA.
_NRF52_POWER = Power(active_milliampere=3.7, supply_volt=3.0)


def _pages(part: Part) -> tuple[SectorRun, ...]:
    flash = sum(region.size for region in _memory(part) if region.kind == "flash")
    return (SectorRun(count=flash // _NORDIC_PAGE_BYTES, bytes=_NORDIC_PAGE_BYTES),)


def _nordic(part: Part, shipped: Sequence[Device]) -> Device:
    """A nRF52 or nRF53."""
    if part.core not in ("cortex-m4", "cortex-m33"):
        raise WrongInputError(
            f"There are no kernels for {part.name.upper()}'s {part.core}. "
            "Choose a part with a Cortex-M4, M7 or M33."
        )
    relative = next(one for one in shipped if one.family == "nrf53")
    new = part.core == "cortex-m33"
    core_of = relative if new else next(one for one in shipped if one.core == "cortex-m4")
    origin = f"{PACKAGE} {package_version()}"
    product = (
        "Nordic nRF5340 Product Specification" if new else ("Nordic nRF52832 Product Specification")
    )
    latency, latency_source = _latency(core_of, shipped)
    return Device(
        id=part.name,
        name=part.name,
        mcu=part.name,
        aliases=(),
        family="nrf53" if new else "nrf52",
        core=core_of.core,
        isa=("dsp", "fpu") if part.has_fpu else ("dsp",),
        clock_hz=relative.clock_hz if new else _NRF52_HZ,
        oscillator=relative.oscillator,
        memory=tuple(_memory(part)),
        flash_timing=relative.flash_timing if new else _NRF52_FLASH,
        serial=relative.serial if new else _NORDIC_PINS,
        usb=(),
        flashing=Flashing(methods=("swd",), flash_sectors=_pages(part)),
        power=relative.power if new else _NRF52_POWER,
        latency=latency,
        sources={
            "memory": origin,
            "clock_hz": product,
            "flash_timing": f"{product}, CPU and cache; the cache's size is the family's least",
            "oscillator": f"{product}: 32 MHz crystal",
            "serial": f"{product}; pins as on Nordic's development kits",
            "flashing": f"{product}: no ROM boot loader; pages of 4 KB",
            "power": f"{product}, CoreMark per milliampere",
            "latency": latency_source,
        },
    )


_HEXADECIMAL = {"address", "vendor", "product", "bootloader_device_id", "bootloader_address"}
_SIGNIFICANT_DIGITS = 4  # of fitted coefficients


def write_profile(device: Device, folder: Path, comment: str) -> Path:
    """Write `folder/ID.toml` with a comment at its top, and read it back as a check.

    Raises:
        WrongInputError: the profile contradicts itself, or the folder cannot be written to.
    """
    path = folder / f"{device.id}.toml"
    before = path.read_bytes() if path.is_file() else None
    write_atomically(path, render_profile(device, comment).encode())
    try:
        load_profile(path)
    except BaseException:
        if before is None:
            path.unlink()
        else:
            write_atomically(path, before)
        raise
    return path


def render_profile(device: Device, comment: str) -> str:
    """Return the profile as TOML; `[[latency]]` comes last, as the fits expect it."""
    values = device.model_dump(exclude_none=True)
    del values["latency"]
    scalars = {key: value for key, value in values.items() if not _is_table(value)}
    blocks = ["\n".join(f"# {line}".rstrip() for line in comment.splitlines()), _lines(scalars)]
    for key, value in values.items():
        if isinstance(value, dict):
            blocks.append(f"[{key}]\n{_lines(value)}")
        elif _is_table(value):
            blocks.extend(f"[[{key}]]\n{_lines(item)}" for item in value)
    blocks.extend(_latency_table(fitted) for fitted in device.latency)
    return "\n\n".join(blocks) + "\n"


def with_latency(profile: str, latency: Latency) -> str:
    """Replace the `[[latency]]` table of this compiler in a profile's text; the rest stays."""
    head, *tables = re.split(r"(?m)^(?=\[\[latency\]\]$)", profile)
    kept = [table.strip() for table in tables if f'compiler = "{latency.compiler}"' not in table]
    return "\n\n".join([head.strip(), *kept, _latency_table(latency)]) + "\n"


def _latency_table(latency: Latency) -> str:
    values = latency.model_dump(exclude_none=True)
    coefficients = dict(sorted(values.pop("coefficients").items()))
    return f"[[latency]]\n{_lines(values)}\n\n[latency.coefficients]\n{_lines(coefficients)}"


def _is_table(value: object) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, tuple) and bool(value) and isinstance(value[0], dict)
    )


def _lines(values: Mapping[str, Any]) -> str:
    return "\n".join(f"{_key(key)} = {_value(key, value)}" for key, value in values.items())


def _key(key: str) -> str:
    return key if key.replace("_", "").isalnum() else json.dumps(key)


def _value(key: str, value: object) -> str:
    if isinstance(value, int):
        return f"0x{value:X}" if key in _HEXADECIMAL else f"{value:_}"
    if isinstance(value, float):
        return f"{value:.{_SIGNIFICANT_DIGITS}g}" if "/" in key else repr(value)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_value(k, v)}" for k, v in value.items()) + " }"
    if isinstance(value, tuple):
        return "[" + ", ".join(_value(key, item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)

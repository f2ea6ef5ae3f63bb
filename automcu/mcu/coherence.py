"""What a profile's figures must obey among themselves, beyond the type of each."""

import math
import re
from collections.abc import Iterator
from itertools import combinations

from automcu.mcu.profile import Core, Device, Family, Latency, MemoryRegion

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
_BAUD_RATES = range(1_200, 4_000_001)

# Core and highest clock, from the datasheets of the fastest part of each family.
_FAMILY: dict[Family, tuple[Core, int]] = {
    "stm32f4": ("cortex-m4", 180_000_000),
    "stm32f7": ("cortex-m7", 216_000_000),
    "stm32l4": ("cortex-m4", 120_000_000),
    "stm32h7": ("cortex-m7", 550_000_000),
    "stm32u5": ("cortex-m33", 160_000_000),
    "nrf52": ("cortex-m4", 64_000_000),
    "nrf53": ("cortex-m33", 128_000_000),
    "esp32s3": ("xtensa-lx7", 240_000_000),
}


def first_contradiction(device: Device) -> str | None:
    """Return the first thing that cannot be true of `device` as "key: what was expected"."""
    return next(_contradictions(device), None)


def _contradictions(device: Device) -> Iterator[str]:
    yield from _name_problems(device)
    yield from _clock_problems(device)
    for index, region in enumerate(device.memory):
        yield from _region_problems(index, region)
    yield from _layout_problems(device)
    yield from _flashing_problems(device)
    yield from _electrical_problems(device)
    for number, figures in enumerate(device.latency):
        yield from _latency_problems(f"latency[{number}]", figures)
    for compiler in ("gcc", "zig"):
        if sum(figures.compiler == compiler for figures in device.latency) > 1:
            yield f"latency: two tables are of {compiler}; expected one for each compiler"


def _name_problems(device: Device) -> Iterator[str]:
    for key, name in (("id", device.id), ("mcu", device.mcu)):
        if not _ID.fullmatch(name):
            yield f"{key}: expected letters, digits and . _ + -, got {name!r}"
    if not _PERIPHERAL.fullmatch(device.serial.peripheral):
        yield (
            "serial.peripheral: expected capital letters, digits and _, "
            f"got {device.serial.peripheral!r}"
        )


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


def _clock_problems(device: Device) -> Iterator[str]:
    core, highest_hz = _FAMILY[device.family]
    if device.core != core:
        yield f"core: {device.family} has a {core}, not a {device.core}"
    if not _SLOWEST_HZ <= device.clock_hz <= highest_hz:
        yield (
            f"clock_hz: expected {_SLOWEST_HZ} to {highest_hz} for {device.family}, "
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

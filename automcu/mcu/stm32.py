"""What the families of STM32 share: USART, macros of board.h, pyOCD's names, a part's profile."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from automcu.errors import WrongInputError
from automcu.mcu.core import core_named
from automcu.mcu.family import (
    BAUD_RATE,
    KB,
    PACKAGE,
    Macros,
    Part,
    UsartLayout,
    memory_regions,
    nearest_latency,
    package_version,
    pin_macros,
)
from automcu.mcu.profile import (
    Device,
    Flashing,
    Oscillator,
    Power,
    SectorRun,
    SerialPort,
)

PORTS = ("ports/cortex_m", "ports/stm32")

# RM0090, section 30.6
OLD_USART = UsartLayout(status=0x00, receive=0x04, transmit=0x04, control=0x0C, enable_bit=1 << 13)
# RM0385, section 31.8; bits 21 and 22 acknowledge that transmitter and receiver are on
NEW_USART = UsartLayout(
    status=0x1C, receive=0x24, transmit=0x28, control=0x00, enable_bit=1, always_set=3 << 21
)

_LINE_LETTERS = len("STM32F407")  # of a part number; what follows is package and memory size
_PART_LETTERS = len("STM32F407VG")  # line, pins and flash size; package and temperature follow
_SIZE_LETTER = -1
# Packages with the step-down converter (ordering information in the datasheets of L4+ and U5).
_STEP_DOWN_SUFFIX = "Q"
_PIN = re.compile(r"P([A-K])(\d{1,2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartLine:
    """What all parts whose numbers begin alike share, and the package does not say.

    `sector_kb` are the sizes of the flash's first sectors, the last one repeating; in a flash of
    `two_banks_kb` they begin anew in its middle. USART1's address, the oscillator and the ratio of
    core to flash clock are from the reference manual. `clock_hz` is the clock where the package
    has it too low, `highest_hz` the most that the firmware sets, and `wait_states` are those at
    clocks for which the package leaves them out. For the memory see `memory_regions`.
    """

    usart1: int
    oscillator_hz: int = 16_000_000
    sector_kb: tuple[int, ...]
    two_banks_kb: int | None = None
    manual: str
    flash_clock_divider: int = 1
    clock_hz: int | None = None
    highest_hz: int | None = None
    wait_states: Mapping[int, int] = field(default_factory=dict)
    coupled_name: str | None = None
    coupled_is_seen_twice: bool = False


def board_macros(device: Device) -> Macros:
    """What board.h defines for a board with an STM32.

    Raises:
        WrongInputError: a pin in the profile is not written as the family's manuals do.
    """
    serial = device.serial
    macros = {
        f"BOARD_LINE_{device.mcu[:_LINE_LETTERS].upper()}": "1",
        "BOARD_CORE_HZ": f"{device.clock_hz}u",
        "BOARD_FLASH_WAIT_STATES": f"{device.flash_timing.wait_states}u",
        "BOARD_OSCILLATOR_HZ": f"{device.oscillator.hz}u",
        f"BOARD_OSCILLATOR_IS_{device.oscillator.source.upper()}": "1",
        "BOARD_USART_BASE": f"0x{serial.address:08X}u",
        "BOARD_USART_CLOCK_ENABLE": f"{serial.peripheral}_CLOCK_ENABLE",
        "BOARD_USART_CLOCK_BIT": f"{serial.peripheral}_CLOCK_BIT",
        "BOARD_USART_BUS_DIVIDER": f"{serial.peripheral}_BUS_DIVIDER",
        "BOARD_BAUD_RATE": f"{serial.baud_rate}u",
        **_pin("TRANSMIT", serial.transmit_pin, device),
        **_pin("RECEIVE", serial.receive_pin, device),
        "BOARD_ALTERNATE_FUNCTION": f"{serial.alternate_function}u",
    }
    if device.flashing.bootloader_address is not None:
        macros["BOARD_BOOT_LOADER_ADDRESS"] = f"0x{device.flashing.bootloader_address:08X}u"
    if serial.peripheral.startswith("LPUART"):
        macros["BOARD_USART_IS_LOW_POWER"] = "1"
    if core_named(device.core).has_caches:
        macros["BOARD_HAS_CACHES"] = "1"
    if device.mcu.endswith(_STEP_DOWN_SUFFIX):
        macros["BOARD_HAS_STEP_DOWN"] = "1"
    return macros


def _pin(role: str, pin: str, device: Device) -> Macros:
    match = _PIN.fullmatch(pin)
    if match is None:
        raise WrongInputError(
            f"{device.id}: serial pin {pin!r} is not an STM32 pin. Write it like PB10."
        )
    port, number = match.groups()
    return pin_macros(role, ord(port) - ord("A"), int(number))


def debug_targets(part: str) -> list[str]:
    """What pyOCD may call a part: in ST's packs (stm32f407vgtx), or built in (stm32h743xx)."""
    stem = part[:_PART_LETTERS]
    return [
        f"{part[: _PART_LETTERS + 1]}x",
        stem,
        f"{part[:_LINE_LETTERS]}x{stem[_SIZE_LETTER]}",
        f"{part[:_LINE_LETTERS]}xx",
    ]


def part_profile(
    family: str, lines: Mapping[str, PartLine]
) -> Callable[[Part, Sequence[Device]], Device]:
    """The function from a part's data, and the shipped profiles, to the profile of a bare part.

    `lines` are what the part numbers begin with; the longest that fits counts. The function raises
    WrongInputError for a part that lacks what a profile needs.
    """
    return partial(_part_profile, family, lines)


def _part_profile(
    family: str, lines: Mapping[str, PartLine], part: Part, shipped: Sequence[Device]
) -> Device:
    line = lines[max((one for one in lines if part.name.startswith(one)), key=len)]
    relative = _nearest_relative(part, [one for one in shipped if one.family == family])
    clock_hz = _clock_hz(part, line)
    if part.core != relative.core or part.usart1 is None or part.die_id is None:
        raise WrongInputError(
            f"{part.name.upper()} lacks what a profile needs: a {relative.core}, USART1 and a boot "
            "loader's id. Write its profile by hand; docs/profiles.md lists the keys."
        )
    memory = tuple(memory_regions(part, line.coupled_name, line.coupled_is_seen_twice))
    flash_bytes = sum(region.size for region in memory if region.kind == "flash")
    latency, latency_source = nearest_latency(relative, shipped)
    origin = f"{PACKAGE} {package_version()}"
    return Device(
        id=part.name,
        name=part.name.upper(),
        mcu=part.name.upper(),
        aliases=(),
        family=family,
        core=relative.core,
        isa=relative.isa,
        clock_hz=clock_hz,
        oscillator=Oscillator(source="internal", hz=line.oscillator_hz),
        memory=memory,
        flash_timing=relative.flash_timing.model_copy(
            update={"wait_states": _wait_states(part, clock_hz, line)}
        ),
        serial=SerialPort(
            peripheral="USART1",
            address=line.usart1,
            transmit_pin=part.usart1.transmit,
            receive_pin=part.usart1.receive,
            alternate_function=part.usart1.alternate_function,
            baud_rate=BAUD_RATE,
        ),
        usb=(),
        flashing=Flashing(
            methods=("usart-bootloader", "swd"),
            bootloader_device_id=part.die_id,
            bootloader_address=relative.flashing.bootloader_address,
            flash_sectors=tuple(_sectors(flash_bytes, line)),
        ),
        power=_power(relative, clock_hz),
        latency=latency,
        sources={
            "memory": origin,
            "clock_hz": f"{origin}; {line.manual}",
            "flash_timing": f"wait states: {origin}, {line.manual}; lines as of {relative.id}",
            "oscillator": f"{line.manual}: the part's own, as a bare part has no crystal",
            "serial": f"pins: {origin}; address: {line.manual}",
            "flashing": f"boot loader's id: {origin}; its address as of {relative.id}; "
            f"sectors: {line.manual}",
            "power": f"scaled by the clock from {relative.id}: an estimate, not a datasheet's",
            "latency": latency_source,
        },
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


def _clock_hz(part: Part, line: PartLine) -> int:
    if line.clock_hz is not None:
        return line.clock_hz
    highest = part.highest_hz or 0
    return highest if line.highest_hz is None else min(highest, line.highest_hz)


def _wait_states(part: Part, clock_hz: int, line: PartLine) -> int:
    if clock_hz in line.wait_states:
        return line.wait_states[clock_hz]
    flash_hz = clock_hz // line.flash_clock_divider
    enough = [states for states, highest in part.wait_states if highest >= flash_hz]
    return min(enough) if enough else max(states for states, _ in part.wait_states)


def _sectors(flash_bytes: int, line: PartLine) -> Iterator[SectorRun]:
    """Sectors from the flash's start, as runs of one size."""
    two_banks = line.two_banks_kb is not None and flash_bytes == line.two_banks_kb * KB
    bank = flash_bytes // 2 if two_banks else flash_bytes
    for start in range(0, flash_bytes, bank):
        rest = min(bank, flash_bytes - start)
        sizes = [KB * kb for kb in line.sector_kb]
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

"""nRF52 and nRF53. Registers: Nordic's product specifications of the nRF52832 and the nRF5340."""

import re
from collections.abc import Sequence

from automcu.errors import WrongInputError
from automcu.mcu.core import CORTEX_M4, CORTEX_M33
from automcu.mcu.family import (
    BAUD_RATE,
    KB,
    PACKAGE,
    Family,
    Macros,
    Part,
    VirtualRegisters,
    memory_regions,
    nearest_latency,
    package_version,
    pin_macros,
)
from automcu.mcu.profile import Device, Flashing, FlashTiming, Power, SectorRun, SerialPort

_PORTS = ("ports/cortex_m", "ports/nordic")
_PIN = re.compile(r"P([01])\.(\d{2})")
# nRF5340 Product Specification, UARTE chapter, BAUDRATE; the same in that of the nRF52840.
_UARTE_BAUD = {
    9_600: 0x0027_5000,
    19_200: 0x004E_A000,
    38_400: 0x009D_0000,
    57_600: 0x00EB_0000,
    115_200: 0x01D6_0000,
    230_400: 0x03B0_0000,
    460_800: 0x0740_0000,
    921_600: 0x0F00_0000,
    1_000_000: 0x1000_0000,
}
_PAGE_BYTES = 4 * KB  # NVMC chapter, of both families
_PINS = SerialPort(
    peripheral="UARTE0",
    address=0x4000_2000,
    transmit_pin="P0.06",
    receive_pin="P0.08",
    alternate_function=0,
    baud_rate=BAUD_RATE,
)
_NRF52_HZ = 64_000_000
# nRF52832 Product Specification: two wait states without the cache (CPU chapter), which is on the
# bus for code only; its lines are 128 bits, and 2 KB is the least that a part of the family has.
_NRF52_FLASH = FlashTiming(wait_states=2, line_bytes=16, instruction_lines=128, data_lines=0)
# nRF52832 Product Specification: 215 CoreMark at 58 CoreMark/mA.
_NRF52_POWER = Power(active_milliampere=3.7, supply_volt=3.0)


def _board_macros(device: Device) -> Macros:
    serial = device.serial
    if serial.baud_rate not in _UARTE_BAUD:
        raise WrongInputError(
            f"{device.id}: {serial.peripheral} cannot have {serial.baud_rate} baud. "
            f"Choose a baud_rate of: {', '.join(str(rate) for rate in _UARTE_BAUD)}."
        )
    return {
        "BOARD_CORE_HZ": f"{device.clock_hz}u",
        "BOARD_UARTE_BASE": f"0x{serial.address:08X}u",
        "BOARD_UARTE_BAUD": f"0x{_UARTE_BAUD[serial.baud_rate]:08X}u",
        **_pin("TRANSMIT", serial.transmit_pin, device),
        **_pin("RECEIVE", serial.receive_pin, device),
    }


def _pin(role: str, pin: str, device: Device) -> Macros:
    match = _PIN.fullmatch(pin)
    if match is None:
        raise WrongInputError(
            f"{device.id}: serial pin {pin!r} is not a Nordic pin. Write it like P0.06."
        )
    port, number = match.groups()
    return pin_macros(role, int(port), int(number))


def _part_profile(part: Part, shipped: Sequence[Device]) -> Device:
    if part.core not in (CORTEX_M4.name, CORTEX_M33.name):
        raise WrongInputError(
            f"There are no kernels for {part.name.upper()}'s {part.core}. "
            "Choose a part with a Cortex-M4, M7 or M33."
        )
    relative = next(one for one in shipped if one.family == "nrf53")
    new = part.core == CORTEX_M33.name
    core_of = relative if new else next(one for one in shipped if one.core == CORTEX_M4.name)
    origin = f"{PACKAGE} {package_version()}"
    product = f"Nordic {'nRF5340' if new else 'nRF52832'} Product Specification"
    memory = tuple(memory_regions(part))
    flash_bytes = sum(region.size for region in memory if region.kind == "flash")
    pages = SectorRun(count=flash_bytes // _PAGE_BYTES, bytes=_PAGE_BYTES)
    latency, latency_source = nearest_latency(core_of, shipped)
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
        memory=memory,
        flash_timing=relative.flash_timing if new else _NRF52_FLASH,
        serial=relative.serial if new else _PINS,
        usb=(),
        flashing=Flashing(methods=("swd",), flash_sectors=(pages,)),
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


# FICR and UICR are where others have system memory; CLOCK's event says that the crystal runs.
FAMILIES = (
    Family(
        name="nrf52",
        core=CORTEX_M4,
        highest_hz=64_000_000,
        ports=_PORTS,
        board_macros=_board_macros,
        virtual=VirtualRegisters(
            usart=None,
            rom_address=0x1000_0000,
            rom_size=0x2000,
            flash_size_register=0x1000_0110,
            always_set={0x4000_0100: 1},
        ),
        parts="nRF52",
        part_prefixes=("nrf5",),
        part_profile=_part_profile,
    ),
    Family(
        name="nrf53",
        core=CORTEX_M33,
        highest_hz=128_000_000,
        ports=_PORTS,
        board_macros=_board_macros,
        virtual=VirtualRegisters(
            usart=None,
            rom_address=0x00FF_0000,
            rom_size=0x9000,
            flash_size_register=0x00FF_021C,
            always_set={0x5000_5100: 1},
        ),
        parts="nRF53",
        part_prefixes=("nrf53",),
        part_profile=_part_profile,
    ),
)

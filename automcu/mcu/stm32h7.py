"""STM32H72x to H75x. Registers: RM0433 and RM0468."""

from functools import partial

from automcu.mcu.core import CORTEX_M7
from automcu.mcu.family import Family, MirroredBits, VirtualRegisters
from automcu.mcu.stm32 import (
    NEW_USART,
    PORTS,
    PartLine,
    board_macros,
    debug_targets,
    part_profile,
)

_line = partial(
    PartLine,
    usart1=0x4001_1000,
    oscillator_hz=64_000_000,
    sector_kb=(128,),
    manual="ST RM0433 and RM0468",
    flash_clock_divider=2,
)
_LINES = {
    # RM0468: 520 MHz is what the firmware sets; 550 need a setting of the option bytes.
    "stm32h72": _line(highest_hz=520_000_000),
    "stm32h73": _line(highest_hz=520_000_000),
    "stm32h74": _line(),
    "stm32h75": _line(),
}

FAMILIES = (
    Family(
        name="stm32h7",
        core=CORTEX_M7,
        highest_hz=550_000_000,
        ports=PORTS,
        clock_source="clock_h7.c",
        board_macros=board_macros,
        virtual=VirtualRegisters(
            usart=NEW_USART,
            rom_address=0x1FF0_0000,
            rom_size=0x2_0000,
            flash_size_register=0x1FF1_E880,
            mirrored={
                0x5802_4400: (
                    MirroredBits(1 << 7 | 1 << 12 | 1 << 16 | 1 << 24 | 1 << 26 | 1 << 28, 1),
                    MirroredBits(1 << 0, 2),  # HSI
                ),
                0x5802_4410: (MirroredBits(0b111, 3),),
                0x5802_4470: (MirroredBits(1, 1),),
                0x5802_4474: (MirroredBits(1, 1),),
            },
            always_set={
                0x5802_4400: 1 << 14 | 1 << 15,  # both domains' clocks ready
                0x5802_4804: 1 << 13,  # PWR_CSR1: supply at the voltage asked for
                0x5802_4818: 1 << 13,  # PWR_D3CR: the same
            },
            at_reset={0x5802_4400: 1},
        ),
        id_register=0x5C00_1000,  # RM0433 and RM0468, "Debug support"
        debug_targets=debug_targets,
        parts="STM32H72x to H75x",
        part_prefixes=tuple(_LINES),
        part_profile=part_profile("stm32h7", _LINES),
    ),
)

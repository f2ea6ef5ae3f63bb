"""STM32U5. Registers: RM0456."""

from automcu.mcu.core import CORTEX_M33
from automcu.mcu.family import Family, MirroredBits, VirtualRegisters
from automcu.mcu.stm32 import (
    NEW_USART,
    PORTS,
    PartLine,
    board_macros,
    debug_targets,
    part_profile,
)

_LINES = {"stm32u5": PartLine(usart1=0x4001_3800, sector_kb=(8,), manual="ST RM0456")}

FAMILIES = (
    Family(
        name="stm32u5",
        core=CORTEX_M33,
        highest_hz=160_000_000,
        ports=PORTS,
        clock_source="clock_u5.c",
        board_macros=board_macros,
        virtual=VirtualRegisters(
            usart=NEW_USART,
            rom_address=0x0BF9_0000,
            rom_size=0x1_8000,
            flash_size_register=0x0BFA_07A0,
            mirrored={
                0x4602_0C00: (
                    MirroredBits(1 << 0 | 1 << 8, 2),  # MSIS, HSI16
                    MirroredBits(1 << 4 | 1 << 12 | 1 << 14, 1),  # MSIK, HSI48, SHSI
                    MirroredBits(1 << 16 | 1 << 24 | 1 << 26 | 1 << 28, 1),  # HSE, PLLs
                ),
                0x4602_0C1C: (MirroredBits(0b11, 2),),
            },
            always_set={
                0x4602_080C: 1 << 14 | 1 << 15,  # PWR_VOSR: booster and regulator ready
                0x4602_083C: 1 << 15,  # PWR_SVMSR: supply at the voltage asked for
            },
            at_reset={0x4602_0C00: 1},
        ),
        id_register=0xE004_4000,  # RM0456, "Debug support"
        debug_targets=debug_targets,
        parts="STM32U5",
        part_prefixes=tuple(_LINES),
        part_profile=part_profile("stm32u5", _LINES),
    ),
)

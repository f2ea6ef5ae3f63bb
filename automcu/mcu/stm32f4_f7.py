"""STM32F4 and STM32F7. Registers: RM0090 and RM0390 (F4), RM0385 (F7)."""

from automcu.mcu.core import CORTEX_M4, CORTEX_M7
from automcu.mcu.family import Family, MirroredBits, VirtualRegisters
from automcu.mcu.stm32 import (
    NEW_USART,
    OLD_USART,
    PORTS,
    PartLine,
    board_macros,
    debug_targets,
    part_profile,
)

_USART1 = 0x4001_1000
_F4_SECTORS = (16, 16, 16, 16, 64, 128)
_F7_SECTORS = (32, 32, 32, 32, 128, 256)
# RM0385: what the package leaves out, above 210 MHz.
_F7_WAIT_STATES = {216_000_000: 7}

_F4_LINES = {
    # RM0090, section 3.3: each of the two banks of 1 MB has its own sectors.
    "stm32f4": PartLine(
        usart1=_USART1, sector_kb=_F4_SECTORS, two_banks_kb=2048, manual="ST RM0090"
    )
}
_F7_LINES = {
    "stm32f7": PartLine(
        usart1=_USART1,
        sector_kb=_F7_SECTORS,
        manual="ST RM0385 and RM0410",
        wait_states=_F7_WAIT_STATES,
    ),
    # RM0431: the F72x and F73x have the F4's smaller sectors.
    **{
        line: PartLine(
            usart1=_USART1, sector_kb=_F4_SECTORS, manual="ST RM0431", wait_states=_F7_WAIT_STATES
        )
        for line in ("stm32f72", "stm32f73")
    },
}

# RCC_CR: internal and external oscillator and PLLs; RCC_CFGR: clock switch; RCC_CSR: LSI
_CLOCKS = {
    0x4002_3800: (MirroredBits(1 << 0 | 1 << 16 | 1 << 24 | 1 << 26 | 1 << 28, 1),),
    0x4002_3808: (MirroredBits(0b11, 2),),
    0x4002_3870: (MirroredBits(1, 1),),
    0x4002_3874: (MirroredBits(1, 1),),
}
# PWR_CSR: regulator and over-drive ready
_POWER_READY = {0x4000_7004: 1 << 14 | 1 << 16 | 1 << 17}
_AT_RESET = {0x4002_3800: 1}
_IDCODE = 0xE004_2000  # RM0090 and RM0385, "Debug support"

FAMILIES = (
    Family(
        name="stm32f4",
        core=CORTEX_M4,
        highest_hz=180_000_000,
        ports=PORTS,
        clock_source="clock_f4_f7.c",
        board_macros=board_macros,
        virtual=VirtualRegisters(
            usart=OLD_USART,
            rom_address=0x1FFF_0000,
            rom_size=0x8000,
            flash_size_register=0x1FFF_7A22,
            mirrored=_CLOCKS,
            always_set=_POWER_READY,
            at_reset=_AT_RESET,
        ),
        id_register=_IDCODE,
        debug_targets=debug_targets,
        parts="STM32F4",
        part_prefixes=tuple(_F4_LINES),
        part_profile=part_profile("stm32f4", _F4_LINES),
    ),
    Family(
        name="stm32f7",
        core=CORTEX_M7,
        highest_hz=216_000_000,
        ports=PORTS,
        clock_source="clock_f4_f7.c",
        board_macros=board_macros,
        virtual=VirtualRegisters(
            usart=NEW_USART,
            rom_address=0x1FF0_0000,
            rom_size=0x1_0000,
            flash_size_register=0x1FF0_F442,
            mirrored=_CLOCKS,
            always_set=_POWER_READY,
            at_reset=_AT_RESET,
        ),
        id_register=_IDCODE,
        debug_targets=debug_targets,
        parts="STM32F7",
        part_prefixes=tuple(_F7_LINES),
        part_profile=part_profile("stm32f7", _F7_LINES),
    ),
)

"""STM32L4 and STM32L4+. Registers: RM0351, RM0394 and RM0432."""

from automcu.mcu.core import CORTEX_M4
from automcu.mcu.family import Family, MirroredBits, VirtualRegisters
from automcu.mcu.stm32 import (
    NEW_USART,
    PORTS,
    PartLine,
    board_macros,
    debug_targets,
    part_profile,
)

_USART1 = 0x4001_3800
_SRAM2 = "sram2"  # which the package takes for core-coupled memory

_LINES = {
    "stm32l4": PartLine(
        usart1=_USART1, sector_kb=(2,), manual="ST RM0351 and RM0394", coupled_name=_SRAM2
    ),
    # RM0432: with two banks, as delivered. SRAM2 is seen between SRAM1 and SRAM3, too. The package
    # has the clock too low: 120 MHz in boost mode, with 5 wait states.
    **{
        f"stm32l4{line}": PartLine(
            usart1=_USART1,
            sector_kb=(4,),
            manual="ST RM0432",
            clock_hz=120_000_000,
            wait_states={120_000_000: 5},
            coupled_name=_SRAM2,
            coupled_is_seen_twice=True,
        )
        for line in "pqrs"
    },
}

FAMILIES = (
    Family(
        name="stm32l4",
        core=CORTEX_M4,
        highest_hz=120_000_000,
        ports=PORTS,
        clock_source="clock_l4.c",
        board_macros=board_macros,
        virtual=VirtualRegisters(
            usart=NEW_USART,
            rom_address=0x1FFF_0000,
            rom_size=0x8000,
            flash_size_register=0x1FFF_75E0,
            mirrored={
                0x4002_1000: (
                    MirroredBits(1 << 0 | 1 << 16 | 1 << 24 | 1 << 26 | 1 << 28, 1),  # MSI to PLLs
                    MirroredBits(1 << 8, 2),  # HSI16
                ),
                0x4002_1008: (MirroredBits(0b11, 2),),
                0x4002_1090: (MirroredBits(1, 1),),
                0x4002_1094: (MirroredBits(1, 1),),
                0x4002_1098: (MirroredBits(1, 1),),  # HSI48
            },
            at_reset={0x4002_1000: 1},
        ),
        id_register=0xE004_2000,  # RM0432, "Debug support"
        debug_targets=debug_targets,
        parts="STM32L4",
        part_prefixes=tuple(_LINES),
        part_profile=part_profile("stm32l4", _LINES),
    ),
)

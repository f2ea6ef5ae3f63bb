"""What differs between families of parts, as far as a program that polls its serial line can see.

Addresses are those of the reference manuals: RM0090 and RM0390 (F4), RM0385 (F7), RM0432 (L4+),
RM0433 and RM0468 (H7), RM0456 (U5), and of Nordic's product specifications. Everything else about
a peripheral is a register that remembers what was written to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from automcu.errors import BoardError
from automcu.mcu.profile import Device


@dataclass(frozen=True, slots=True)
class UsartLayout:
    """Register offsets of a USART, and the bits by which it is switched on."""

    status: int
    receive: int
    transmit: int
    control: int
    enable_bit: int
    always_set: int = 0


RECEIVED_BIT = 1 << 5
TRANSMITTED_BITS = 1 << 7 | 1 << 6  # register empty, transmission complete
RECEIVER_BIT = 1 << 2
TRANSMITTER_BIT = 1 << 3

# RM0090, section 30.6
_OLD_USART = UsartLayout(status=0x00, receive=0x04, transmit=0x04, control=0x0C, enable_bit=1 << 13)
# RM0385, section 31.8; bits 21 and 22 acknowledge that transmitter and receiver are on
_NEW_USART = UsartLayout(
    status=0x1C, receive=0x24, transmit=0x28, control=0x00, enable_bit=1, always_set=3 << 21
)


@dataclass(frozen=True, slots=True)
class Follower:
    """Bits of a register that follow others of the same register, `shift` places further up."""

    mask: int
    shift: int


@dataclass(frozen=True, slots=True)
class Family:
    """One row of the table.

    `usart` is None where the part has Nordic's UARTE. `followers` are ready and status bits by
    register address, `always_set` bits that are set whatever was written, `at_reset` what registers
    hold after reset. `rom_address` and `rom_size` span system memory, which holds the boot loader
    and the part's flash size.
    """

    usart: UsartLayout | None
    rom_address: int
    rom_size: int
    flash_size_register: int
    part_register: int | None
    followers: Mapping[int, tuple[Follower, ...]]
    always_set: Mapping[int, int] = field(default_factory=dict)
    at_reset: Mapping[int, int] = field(default_factory=dict)


# RCC_CR: internal and external oscillator and PLLs; RCC_CFGR: clock switch; RCC_CSR: LSI
_F4_F7_CLOCKS = {
    0x4002_3800: (Follower(1 << 0 | 1 << 16 | 1 << 24 | 1 << 26 | 1 << 28, 1),),
    0x4002_3808: (Follower(0b11, 2),),
    0x4002_3870: (Follower(1, 1),),
    0x4002_3874: (Follower(1, 1),),
}

FAMILIES: Mapping[str, Family] = {
    "stm32f4": Family(
        usart=_OLD_USART,
        rom_address=0x1FFF_0000,
        rom_size=0x8000,
        flash_size_register=0x1FFF_7A22,
        part_register=0xE004_2000,
        followers=_F4_F7_CLOCKS,
        # PWR_CSR: regulator and over-drive ready
        always_set={0x4000_7004: 1 << 14 | 1 << 16 | 1 << 17},
        at_reset={0x4002_3800: 1},
    ),
    "stm32f7": Family(
        usart=_NEW_USART,
        rom_address=0x1FF0_0000,
        rom_size=0x1_0000,
        flash_size_register=0x1FF0_F442,
        part_register=0xE004_2000,
        followers=_F4_F7_CLOCKS,
        always_set={0x4000_7004: 1 << 14 | 1 << 16 | 1 << 17},
        at_reset={0x4002_3800: 1},
    ),
    "stm32l4": Family(
        usart=_NEW_USART,
        rom_address=0x1FFF_0000,
        rom_size=0x8000,
        flash_size_register=0x1FFF_75E0,
        part_register=0xE004_2000,
        followers={
            0x4002_1000: (
                Follower(1 << 0 | 1 << 16 | 1 << 24 | 1 << 26 | 1 << 28, 1),  # MSI, HSE, PLLs
                Follower(1 << 8, 2),  # HSI16
            ),
            0x4002_1008: (Follower(0b11, 2),),
            0x4002_1090: (Follower(1, 1),),
            0x4002_1094: (Follower(1, 1),),
            0x4002_1098: (Follower(1, 1),),  # HSI48
        },
        at_reset={0x4002_1000: 1},
    ),
    "stm32h7": Family(
        usart=_NEW_USART,
        rom_address=0x1FF0_0000,
        rom_size=0x2_0000,
        flash_size_register=0x1FF1_E880,
        part_register=0x5C00_1000,
        followers={
            0x5802_4400: (
                Follower(1 << 7 | 1 << 12 | 1 << 16 | 1 << 24 | 1 << 26 | 1 << 28, 1),
                Follower(1 << 0, 2),  # HSI
            ),
            0x5802_4410: (Follower(0b111, 3),),
            0x5802_4470: (Follower(1, 1),),
            0x5802_4474: (Follower(1, 1),),
        },
        always_set={
            0x5802_4400: 1 << 14 | 1 << 15,  # both domains' clocks ready
            0x5802_4804: 1 << 13,  # PWR_CSR1: supply at the voltage asked for
            0x5802_4818: 1 << 13,  # PWR_D3CR: the same
        },
        at_reset={0x5802_4400: 1},
    ),
    "stm32u5": Family(
        usart=_NEW_USART,
        rom_address=0x0BF9_0000,
        rom_size=0x1_8000,
        flash_size_register=0x0BFA_07A0,
        part_register=0xE004_4000,
        followers={
            0x4602_0C00: (
                Follower(1 << 0 | 1 << 8, 2),  # MSIS, HSI16
                Follower(1 << 4 | 1 << 12 | 1 << 14, 1),  # MSIK, HSI48, SHSI
                Follower(1 << 16 | 1 << 24 | 1 << 26 | 1 << 28, 1),  # HSE, PLLs
            ),
            0x4602_0C1C: (Follower(0b11, 2),),
        },
        always_set={
            0x4602_080C: 1 << 14 | 1 << 15,  # PWR_VOSR: booster and regulator ready
            0x4602_083C: 1 << 15,  # PWR_SVMSR: supply at the voltage asked for
        },
        at_reset={0x4602_0C00: 1},
    ),
    # FICR and UICR are where others have system memory; CLOCK's event says that the crystal runs.
    "nrf52": Family(
        usart=None,
        rom_address=0x1000_0000,
        rom_size=0x2000,
        flash_size_register=0x1000_0110,
        part_register=None,
        followers={},
        always_set={0x4000_0100: 1},
    ),
    "nrf53": Family(
        usart=None,
        rom_address=0x00FF_0000,
        rom_size=0x9000,
        flash_size_register=0x00FF_021C,
        part_register=None,
        followers={},
        always_set={0x5000_5100: 1},
    ),
}


def family_of(device: Device) -> Family:
    """The row for a device.

    Raises:
        BoardError: its family is not in the table.
    """
    try:
        return FAMILIES[device.family]
    except KeyError:
        raise BoardError(
            f"There is no virtual board for {device.name} (family {device.family}). "
            f"Use a real one with --board PORT, or a device of {', '.join(FAMILIES)}."
        ) from None

"""Peripheral registers at 0x40000000: the serial line, ready bits, plain memory for the rest."""

from automcu.boards.virtual.families import Family
from automcu.boards.virtual.memory import BoardMemory
from automcu.boards.virtual.serial_line import Line
from automcu.boards.virtual.uarte import Uarte
from automcu.boards.virtual.usart import Usart
from automcu.mcu.profile import Device

BASE = 0x4000_0000
SIZE = 0x2000_0000


class Peripherals:
    """What reads and writes between 0x40000000 and 0x5FFFFFFF do."""

    def __init__(self, device: Device, family: Family, line: Line, memory: BoardMemory) -> None:
        self._family = family
        self._serial = Usart(family.usart, line) if family.usart else Uarte(line, memory)
        self._serial_address = device.serial.address
        self._registers = dict(family.at_reset)
        self._constants = part_constants(device, family)

    def read(self, address: int) -> int:
        """The 32-bit register at `address`."""
        offset = address - self._serial_address
        if 0 <= offset < self._serial.size:
            value = self._serial.read(offset)
            if value is not None:
                return value
        if address in self._constants:
            return self._constants[address]
        return self._with_followers(address, self._registers.get(address, 0))

    def write(self, address: int, value: int) -> None:
        """Write the 32-bit register at `address`."""
        offset = address - self._serial_address
        if 0 <= offset < self._serial.size:
            self._serial.write(offset, value)
        self._registers[address] = value

    def _with_followers(self, address: int, value: int) -> int:
        for follower in self._family.followers.get(address, ()):
            followed = follower.mask << follower.shift
            value = value & ~followed | (value & follower.mask) << follower.shift
        return value | self._family.always_set.get(address, 0)


def part_constants(device: Device, family: Family) -> dict[int, int]:
    """Registers that tell what part this is: DBGMCU_IDCODE, by its address."""
    if family.part_register is None:
        return {}
    return {family.part_register: device.flashing.bootloader_device_id or 0}

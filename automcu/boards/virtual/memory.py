"""Flash and RAM of a virtual board, and Unicorn, set up as its core in them.

There is one set of bytes for the boot loader and for the engine.
"""

import ctypes
import mmap
from dataclasses import dataclass

from unicorn import (
    UC_ARCH_ARM,
    UC_MODE_MCLASS,
    UC_MODE_THUMB,
    UC_PROT_ALL,
    UC_PROT_EXEC,
    UC_PROT_READ,
    Uc,
    arm_const,
)

from automcu.errors import BoardError
from automcu.mcu.core import core_named
from automcu.mcu.family import VirtualRegisters, families, family_of
from automcu.mcu.profile import Device, code_flash

ERASED_BYTE = b"\xff"
_PAGE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class _Bank:
    """A stretch of memory; `content` is padded to whole pages, which is all that Unicorn maps."""

    kind: str
    address: int
    size: int
    content: mmap.mmap
    protection: int

    def holds(self, address: int, count: int) -> bool:
        return self.address <= address and address + count <= self.address + self.size


class BoardMemory:
    """All memories of a device, with flash erased and RAM zero, as long as the board lives."""

    def __init__(self, device: Device) -> None:
        virtual = virtual_registers(device)
        self._flash_start = code_flash(device).address
        self._sector_bytes = device.flashing.flash_sector_bytes
        self.rom = _bank("rom", virtual.rom_address, virtual.rom_size, UC_PROT_READ)
        regions = [_bank_of(r.kind, r.address, r.size) for r in device.memory]
        # ROM last: mapped first, Unicorn 2.1.4 takes writes to RAM for writes to the program and
        # translates it again and again, which made inference some twenty times slower.
        self._banks = [*regions, self.rom]
        self._fill_rom(device, virtual.flash_size_register)

    def map_into(self, engine: Uc) -> None:
        """Let an engine run in this memory.

        The largest bank first: Unicorn 2.1.4 gives a bank that is larger than those before it the
        same internal offset as one of them. Writing to the one then discards translated code of
        the other, which made programs up to 100 times as slow.
        """
        for bank in sorted(self._banks, key=lambda bank: len(bank.content), reverse=True):
            host_address = ctypes.addressof(ctypes.c_char.from_buffer(bank.content))
            engine.mem_map_ptr(bank.address, len(bank.content), bank.protection, host_address)

    def in_rom(self, address: int) -> bool:
        """Whether `address` is in system memory, where the boot loader is."""
        return self.rom.holds(address, 1)

    def read(self, address: int, count: int) -> bytes | None:
        """Bytes of any memory; None when there is none."""
        bank = self._bank_at(address, count)
        if bank is None:
            return None
        offset = address - bank.address
        return bank.content[offset : offset + count]

    def write(self, address: int, content: bytes) -> bool:
        """Write to RAM, or program flash, which only clears bits; False where there is neither."""
        bank = self._bank_at(address, len(content))
        if bank is None or bank.kind == "rom":
            return False
        offset = address - bank.address
        end = offset + len(content)
        if bank.kind == "flash":
            before = bank.content[offset:end]
            content = bytes(old & new for old, new in zip(before, content, strict=True))
        bank.content[offset:end] = content
        return True

    def erase_sector(self, number: int) -> bool:
        """Erase one sector of the profile's; False when there is no such sector."""
        if number >= len(self._sector_bytes):
            return False
        start = self._flash_start + sum(self._sector_bytes[:number])
        return self._erase(start, self._sector_bytes[number])

    def erase_all(self) -> None:
        """Erase every sector."""
        for number in range(len(self._sector_bytes)):
            self.erase_sector(number)

    def _erase(self, address: int, size: int) -> bool:
        bank = self._bank_at(address, size)
        if bank is None or bank.kind != "flash":
            return False
        offset = address - bank.address
        bank.content[offset : offset + size] = ERASED_BYTE * size
        return True

    def _bank_at(self, address: int, count: int) -> _Bank | None:
        return next((bank for bank in self._banks if bank.holds(address, count)), None)

    def _fill_rom(self, device: Device, flash_size_register: int) -> None:
        """A vector table that leads back into ROM, and the flash size in KiB (RM0090, 39.2)."""
        table = device.flashing.bootloader_address or self.rom.address
        ram = next(r for r in device.memory if r.kind == "ram")
        self._patch_rom(table, (ram.address + ram.size).to_bytes(4, "little"))
        self._patch_rom(table + 4, (table + 0x101).to_bytes(4, "little"))
        self._patch_rom(flash_size_register, (device.flash_bytes // 1024).to_bytes(2, "little"))

    def _patch_rom(self, address: int, content: bytes) -> None:
        offset = address - self.rom.address
        self.rom.content[offset : offset + len(content)] = content


def _bank_of(kind: str, address: int, size: int) -> _Bank:
    if kind == "flash":
        bank = _bank(kind, address, size, UC_PROT_READ | UC_PROT_EXEC)
        bank.content[:] = ERASED_BYTE * len(bank.content)
        return bank
    return _bank(kind, address, size, UC_PROT_ALL)


def _bank(kind: str, address: int, size: int, protection: int) -> _Bank:
    padded = -(-size // _PAGE_BYTES) * _PAGE_BYTES
    return _Bank(kind, address, size, mmap.mmap(-1, padded), protection)


def new_engine(device: Device, memory: BoardMemory) -> Uc:
    """An engine just out of reset, with the board's memory and nothing else.

    Its FPU is on from the start: unlike silicon, it does not fault where a program forgot CPACR.
    """
    engine = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
    engine.ctl_set_cpu_model(getattr(arm_const, f"UC_CPU_ARM_{core_named(device.core).unicorn}"))
    memory.map_into(engine)
    return engine


def virtual_registers(device: Device) -> VirtualRegisters:
    """What a virtual board of this kind has.

    Raises:
        BoardError: there is no virtual board for it.
    """
    virtual = family_of(device).virtual
    if virtual is None:
        known = (family.name for family in families().values() if family.virtual)
        raise BoardError(
            f"There is no virtual board for {device.name} (family {device.family}). "
            f"Use a real one with --board PORT, or a device of {', '.join(known)}."
        )
    return virtual

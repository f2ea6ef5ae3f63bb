import itertools
import struct
from collections.abc import Callable

import pytest
from unicorn import UC_HOOK_EDGE_GENERATED, UcError
from unicorn.arm_const import UC_ARM_REG_R0, UC_ARM_REG_R1

from automcu.boards.virtual.memory import BoardMemory, new_engine
from automcu.mcu import Device, all_devices

FLASH = 0x0800_0000
RAM = 0x2000_0000


@pytest.fixture
def memory(device: Device) -> BoardMemory:
    return BoardMemory(device)


def test_flash_powers_up_erased_and_ram_is_there(memory: BoardMemory) -> None:
    assert memory.read(FLASH, 4) == b"\xff" * 4
    assert memory.read(FLASH + 512 * 1024 - 4, 4) == b"\xff" * 4
    assert memory.read(RAM, 4) == bytes(4)


def test_nothing_is_where_the_profile_has_no_memory(memory: BoardMemory) -> None:
    for address, count in ((FLASH - 1, 1), (FLASH + 512 * 1024 - 2, 4), (RAM - 4, 4), (0, 4)):
        assert memory.read(address, count) is None
        assert not memory.write(address, bytes(count))


def test_rom_is_read_only(memory: BoardMemory) -> None:
    before = memory.read(0x1FFF_0000, 8)
    assert not memory.write(0x1FFF_0000, bytes(8))
    assert memory.read(0x1FFF_0000, 8) == before


def test_the_roms_vector_table_leads_into_the_rom(device_of: Callable[..., Device]) -> None:
    for family in ("stm32f4", "stm32f7", "stm32l4", "stm32h7", "stm32u5"):
        device = device_of(family)
        memory = BoardMemory(device)
        table = device.flashing.bootloader_address
        assert table is not None
        stack, entry = struct.unpack("<2I", memory.read(table, 8) or b"")
        assert stack == RAM + 128 * 1024
        assert entry % 2 == 1
        assert memory.in_rom(entry)


def test_erasing_everything_leaves_no_programmed_bit(memory: BoardMemory) -> None:
    for offset in range(0, 512 * 1024, 50_000):
        memory.write(FLASH + offset, b"data")
    memory.erase_all()
    assert memory.read(FLASH, 512 * 1024) == b"\xff" * 512 * 1024


@pytest.mark.parametrize(
    "device",
    [device for device in all_devices().values() if device.family.startswith("stm32")],
    ids=lambda device: device.id,
)
def test_writing_to_one_memory_leaves_translated_code_in_another_alone(device: Device) -> None:
    """Unicorn 2.1.4 mixes up memories that are mapped in the wrong order; see map_into."""
    regions = [(region.address, region.size) for region in device.memory]
    turns = 20
    for (code, _), (data, size) in itertools.permutations(regions, 2):
        for offset in range(0, min(size, 4096), 1024):
            memory = BoardMemory(device)
            # str r0, [r0]; subs r1, #1; bne; bkpt
            assert memory.write(code + 1024, bytes.fromhex("0060 0139 fcd1 00be"))
            engine = new_engine(device, memory)
            translations: list[int] = []
            engine.hook_add(UC_HOOK_EDGE_GENERATED, lambda *_, t=translations: t.append(1))
            engine.reg_write(UC_ARM_REG_R0, data + offset)
            engine.reg_write(UC_ARM_REG_R1, turns)
            # A program cannot write to flash; there it faults, which is fine as well.
            with pytest.raises(UcError):
                engine.emu_start(code + 1024 | 1, 0xFFFF_FFFE)
            assert len(translations) < turns / 2


def test_all_shipped_stm32_profiles_make_a_board() -> None:
    for device in all_devices().values():
        if device.family.startswith("stm32"):
            memory = BoardMemory(device)
            new_engine(device, memory)
            assert device.flashing.bootloader_address is not None
            assert memory.in_rom(device.flashing.bootloader_address)

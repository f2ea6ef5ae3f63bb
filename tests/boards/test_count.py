from collections.abc import Callable
from pathlib import Path

import pytest

from automcu.boards.virtual.machine import count_cycles
from automcu.errors import BoardError, WrongInputError
from automcu.mcu import Device
from automcu.toolchains.build import flash_image
from tests.boards.conftest import Builder
from tests.boards.programs import MIXED_WORK

NO_WAITS = {"wait_states": 0, "line_bytes": 16, "instruction_lines": 0, "data_lines": 0}


@pytest.fixture
def ideal(device_of: Callable[..., Device]) -> Device:
    return device_of(flash_timing=NO_WAITS)


def test_a_function_is_counted_up_to_its_return(build: Builder, ideal: Device) -> None:
    """add 1, ldr 2, bx 1 and its penalty of 2"""
    image = build.image("function: adds r0, r1; ldr r2, [sp, #-4]; bx lr")
    count = count_cycles(image, ideal, entry=0x0800_0008, arguments=(40, 2))
    assert (count.result, count.instructions, count.cycles) == (42, 3, 6)
    assert count.core_cycles == count.cycles


def test_a_program_is_counted_up_to_its_breakpoint(build: Builder, ideal: Device) -> None:
    image = build.image("mov r0, #10; 1: subs r0, #1; bne 1b; bkpt #0")
    count = count_cycles(image, ideal)
    assert (count.result, count.instructions) == (0, 21)
    assert count.cycles == 1 + 9 * 4 + 2


def test_wait_states_are_distinguished(build: Builder, device: Device) -> None:
    """From an empty cache: one line of instructions, one read from another line."""
    image = build.image("ldr.w r0, 1f; bx lr; nop; .skip 32; 1: .word 7")
    count = count_cycles(image, device, entry=0x0800_0008)
    assert (count.result, count.fetch_stalls, count.read_stalls) == (7, 5, 5)
    assert count.cycles == count.core_cycles + 10


def test_an_elf_and_its_image_count_the_same(build: Builder, device: Device) -> None:
    elf = build.elf(MIXED_WORK)
    assert count_cycles(elf, device) == count_cycles(flash_image(elf), device)


def test_repeating_gives_the_same_count(build: Builder, device: Device) -> None:
    elf = build.elf(MIXED_WORK)
    first = count_cycles(elf, device, "work", (100,))
    assert count_cycles(elf, device, "work", (100,)) == first


def test_a_program_that_does_not_end_is_stopped(build: Builder, device: Device) -> None:
    with pytest.raises(BoardError, match="did not end by itself: it was stopped"):
        count_cycles(build.image("b ."), device, timeout_s=0.3)


def test_a_fault_is_reported_with_its_address(build: Builder, device: Device) -> None:
    with pytest.raises(BoardError, match=r"it faulted .* at 0x08000008"):
        count_cycles(build.image("udf #0"), device)


def test_wrong_programs_are_refused(build: Builder, device: Device, tmp_path: Path) -> None:
    elf = build.elf(MIXED_WORK)
    with pytest.raises(WrongInputError, match="no symbol 'nothing'"):
        count_cycles(elf, device, "nothing")
    with pytest.raises(WrongInputError, match="no memory for them"):
        count_cycles(bytes(600 * 1024), device)
    with pytest.raises(WrongInputError, match="cannot be read"):
        count_cycles(tmp_path / "missing.elf", device)

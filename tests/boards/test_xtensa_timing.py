"""Cycles of the Xtensa LX7, instruction by instruction and block by block."""

import pytest

from automcu.boards.timing.xtensa_lx7 import (
    DIVIDE_CYCLES,
    Block,
    Instruction,
    block_cycles,
    instruction,
    straight_cycles,
)


def code(*texts: str) -> tuple[Instruction, ...]:
    """Instructions of three bytes, or of two where the mnemonic says so."""
    return tuple(
        instruction(bytes(2 if text.partition(" ")[0].endswith(".n") else 3), text)
        for text in texts
    )


@pytest.mark.parametrize(
    ("texts", "cycles"),
    [
        (("add a2, a3, a4",), 1),
        (("l32i a2, a3, 0", "add a4, a5, a6"), 2),
        (("l32i a2, a3, 0", "add a4, a2, a6"), 3),
        (("l32i a2, a3, 0", "l32i a2, a2, 0"), 3),
        (("l32i a2, a3, 0", "s32i a2, a3, 4"), 3),
        (("l32i.n a2, a3, 0", "add.n a4, a5, a6", "add.n a4, a4, a2"), 3),
        (("mull a2, a3, a4", "add a2, a2, a5"), 3),
        (("mull a2, a3, a4", "mull a5, a6, a7"), 2),
        (("l32i a2, a3, 0", "movltz a2, a4, a5"), 3),
        (("s32i a2, a3, 0", "l32i a2, a3, 0"), 2),
        (("l32r a2, 0x50000004", "call0 0x50001000"), 2),
    ],
)
def test_loads_and_products_delay_only_an_instruction_that_needs_them(
    texts: tuple[str, ...], cycles: int
) -> None:
    assert straight_cycles(code(*texts)) == cycles


def test_a_loop_takes_what_an_esp8266_took_for_it() -> None:
    """An addition, a decrement and a taken branch: five cycles a turn."""
    loop = Block(0x4000, code("add.n a2, a2, a3", "addi.n a3, a3, -1", "bnez a3, 0x4000"))
    assert block_cycles(loop, entered=1000, left=999, reached=999) == 3 * 1000 + 2 * 999


def test_a_target_that_crosses_a_fetch_waits_one_more_cycle() -> None:
    instructions = code("addi a2, a2, 1", "j 0x4000")
    aligned, crossing = (Block(at, instructions) for at in (0x4001, 0x4002))
    assert block_cycles(crossing, 10, 10, 4) - block_cycles(aligned, 10, 10, 4) == 4


def test_a_straight_block_that_something_else_follows_costs_no_jump() -> None:
    """QEMU ends blocks at instructions that it leaves to the emulation, too."""
    block = Block(0x4000, (instruction(bytes((0x90, 0x88, 0xB2)), "???"),))
    assert block_cycles(block, 7, 7, 0) == 7


@pytest.mark.parametrize(
    ("third", "operation", "cycles"),
    [(0xB2, "mulsh", 1), (0xA2, "muluh", 1), (0xC2, "quou", DIVIDE_CYCLES)],
)
def test_instructions_of_the_lx7_are_known_by_their_bytes(
    third: int, operation: str, cycles: int
) -> None:
    one = instruction(bytes((0x90, 0x88, third)), "???")
    assert (one.operation, one.result, one.reads) == (operation, 8, (8, 9))
    assert straight_cycles((one,)) == cycles


def test_unknown_instructions_are_no_guesswork() -> None:
    with pytest.raises(ValueError, match="unknown instruction 908812"):
        instruction(bytes((0x90, 0x88, 0x12)), "???")

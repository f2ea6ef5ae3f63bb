"""Cycles on the ESP32-S3's Xtensa LX7 with code and data in internal RAM, which never waits.

Facts of the core are those of its configuration header ("LX7_ESP32_S3_MP", core-isa.h in ESP-IDF
and NuttX, MIT licence): a pipeline of five stages (XCHAL_DATA_PIPE_DELAY 1), fetches of four
bytes, unaligned loads in hardware, MULL, MULSH, MULUH and QUOU. The rules are those of any five
stages with full bypassing; Cadence's data book, which would say, is not public. One instruction a
cycle; a value loaded or multiplied is there one cycle later, so an instruction right behind that
needs it waits one; a jump or taken branch loses the two instructions behind it. A target that
crosses a fetch of four bytes waits one more (GNU as manual, "Automatic Instruction Alignment" for
Xtensa: "this has the potential to reduce branch penalties"). Division is taken as
`DIVIDE_CYCLES`; interrupts and conflicts on the RAM's bus are left out.

An ESP8266, of five stages too, takes five cycles for a summing loop (ESP-IDF's issue tracker,
number 85): what these rules give for the three instructions that GCC makes of it. Nothing else
here was compared with silicon.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

TAKEN_BRANCH_CYCLES = 2
RESULT_WAIT_CYCLES = 1  # of loads and products, for the instruction right behind
CROSSING_CYCLES = 1
DIVIDE_CYCLES = 13
FETCH_BYTES = 4

_LOADS = frozenset(["l8ui", "l16ui", "l16si", "l32i", "l32i.n", "l32r", "l32ai"])
_PRODUCTS = frozenset(["mull", "mul16s", "mul16u", "muluh", "mulsh"])
_STORES = frozenset(["s8i", "s16i", "s32i", "s32i.n", "s32ri"])
_JUMPS = frozenset(["j", "jx", "call0", "callx0", "ret", "ret.n"])
_DIVISIONS = frozenset(["quou", "quos", "remu", "rems"])
_READS_ITS_RESULT = frozenset(["moveqz", "movnez", "movltz", "movgez"])
_REGISTER = re.compile(r"\ba(\d+)\b")

# The third byte of the LX7's instructions that other cores' disassemblers do not know; operands are
# a8, a8 and a9 (Xtensa Instruction Set Architecture Reference Manual).
_BY_THIRD_BYTE = {0xA2: "muluh a8, a8, a9", 0xB2: "mulsh a8, a8, a9", 0xC2: "quou a8, a8, a9"}
_UNKNOWN = "???"


@dataclass(frozen=True)
class Instruction:
    """One instruction: its bytes in memory, its mnemonic, its registers in order."""

    size: int
    operation: str
    registers: tuple[int, ...]

    @property
    def result(self) -> int | None:
        """The register that it writes; None where it writes none."""
        writes = self.operation not in _STORES and not self.branches
        return self.registers[0] if writes and self.registers else None

    @property
    def reads(self) -> tuple[int, ...]:
        """The registers that it needs."""
        if self.result is None or self.operation in _READS_ITS_RESULT:
            return self.registers
        return self.registers[1:]

    @property
    def branches(self) -> bool:
        """Whether it can leave the straight line."""
        return self.operation in _JUMPS or self.operation.startswith(("b", "loop"))


@dataclass(frozen=True)
class Block:
    """A basic block: where it starts, and its instructions."""

    address: int
    instructions: tuple[Instruction, ...]


def instruction(encoding: bytes, text: str) -> Instruction:
    """One instruction as a disassembler prints it.

    Raises:
        ValueError: neither the disassembler nor this module knows it.
    """
    if text.startswith(_UNKNOWN):
        if len(encoding) != 3 or encoding[2] not in _BY_THIRD_BYTE:
            raise ValueError(f"unknown instruction {encoding.hex()}")
        text = _BY_THIRD_BYTE[encoding[2]]
    operation, _, operands = text.replace("\t", " ").partition(" ")
    registers = tuple(int(number) for number in _REGISTER.findall(operands))
    return Instruction(len(encoding), operation, registers)


def block_cycles(block: Block, entered: int, left: int, reached: int) -> int:
    """Cycles of a block entered so often, left by a jump and reached by one as often as given."""
    jump = TAKEN_BRANCH_CYCLES if block.instructions[-1].branches else 0
    crossing = CROSSING_CYCLES if _crosses(block) else 0
    return entered * straight_cycles(block.instructions) + left * jump + reached * crossing


def straight_cycles(instructions: Sequence[Instruction]) -> int:
    """Cycles of instructions executed one behind the other."""
    waits = sum(
        RESULT_WAIT_CYCLES
        for first, second in itertools.pairwise(instructions)
        if first.operation in _LOADS | _PRODUCTS and first.result in second.reads
    )
    return waits + sum(_cycles(instructions))


def _cycles(instructions: Iterable[Instruction]) -> Iterable[int]:
    return (DIVIDE_CYCLES if one.operation in _DIVISIONS else 1 for one in instructions)


def _crosses(block: Block) -> bool:
    return block.address % FETCH_BYTES + block.instructions[0].size > FETCH_BYTES


@dataclass(frozen=True)
class SectionCounts:
    """What was executed between two markers."""

    instructions: int
    cycles: int


def read_counts(path: Path) -> tuple[SectionCounts, ...]:
    """The sections of a run in order.

    Raises:
        ValueError: there are instructions that the timing rules do not know.
    """
    blocks: dict[int, Block] = {}
    executed: list[list[tuple[int, int, int, int]]] = []
    with path.open() as file:
        lines = iter(file)
        for line in lines:
            words = line.split()
            if words[0] == "block":
                blocks[int(words[1])] = _block(int(words[2]), int(words[3]), lines)
            elif words[0] == "section":
                executed.append([])
            else:
                index, entered, left, reached = map(int, words)
                executed[-1].append((index, entered, left, reached))
    return tuple(
        SectionCounts(
            instructions=sum(len(blocks[index].instructions) * n for index, n, _, _ in section),
            cycles=sum(block_cycles(blocks[index], *counts) for index, *counts in section),
        )
        for section in executed
    )


def _block(address: int, count: int, lines: Iterator[str]) -> Block:
    texts = [next(lines).rstrip("\n").partition(" ") for _ in range(count)]
    return Block(address, tuple(instruction(bytes.fromhex(code), text) for code, _, text in texts))

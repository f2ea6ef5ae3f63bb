"""Reading what the QEMU plugin block_counts.c wrote: instructions and cycles by section."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from automcu.boards.timing.xtensa_lx7 import Block, block_cycles, instruction


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

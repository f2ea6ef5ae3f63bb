"""The memory plan: an offset for every tensor and scratch buffer, so that none in use overlap.

A tensor that is written over its operator's input shares that input's offset; where it is smaller,
the rest of the bytes is free again. Offsets are packed first-fit in several orders and the tightest
result is kept; `lower_bound` is what no packing can go below.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernel import Kernel
from automcu.compiler.schedule import occupied_bytes, overwritten_input

_ATTEMPTS = 240  # packings to try
_PROMOTIONS = 20  # of them from one order, each with the highest blocks moved to the front


@dataclass(frozen=True)
class Buffer:
    """A tensor or scratch area: `size` bytes in use from `first_step` to `last_step` inclusive.

    A tensor written in place takes its bytes over at the step after its operator's. The network's
    output is in use for one step more than there are operators, as it is read when all have run.
    """

    name: str
    size: int
    first_step: int
    last_step: int


@dataclass(frozen=True)
class Arena:
    """Offsets of buffers, and of each tensor and scratch area in them, in bytes."""

    buffers: tuple[Buffer, ...]
    offsets: Mapping[str, int]
    tensor_offsets: Mapping[str, int]
    scratch_offsets: Mapping[str, int]
    size: int
    lower_bound: int


_Block = tuple[Buffer, ...]  # one after the other at one offset, none larger than the one before
_Clash = tuple[int, int]  # sizes of two buffers in use at the same time


def plan_arena(graph: Graph, operators: Sequence[Operator], kernels: Mapping[str, Kernel]) -> Arena:
    """Plan the memory of `operators` run in this order."""
    tensors = _tensor_blocks(graph, operators, kernels)
    scratch = {
        op.name: Buffer(
            f"{op.name} scratch", occupied_bytes(kernels[op.name].scratch_bytes), step, step
        )
        for step, op in enumerate(operators)
        if kernels[op.name].scratch_bytes
    }
    blocks = (*tensors, *((buffer,) for buffer in scratch.values()))
    buffers = tuple(buffer for block in blocks for buffer in block)
    bound = _lower_bound(buffers, len(operators))
    offsets = _pack_tightest(blocks, bound)
    return Arena(
        buffers=buffers,
        offsets=offsets,
        tensor_offsets={b.name: offsets[b.name] for block in tensors for b in block},
        scratch_offsets={name: offsets[buffer.name] for name, buffer in scratch.items()},
        size=max((offsets[b.name] + b.size for b in buffers), default=0),
        lower_bound=bound,
    )


def _tensor_blocks(
    graph: Graph, operators: Sequence[Operator], kernels: Mapping[str, Kernel]
) -> tuple[_Block, ...]:
    last_use = {graph.output: len(operators)}
    for step, operator in enumerate(operators):
        for name in operator.inputs:
            last_use[name] = max(step, last_use.get(name, step))

    def buffer(tensor: str, first_step: int) -> Buffer:
        size = occupied_bytes(graph.tensors[tensor].size)
        return Buffer(tensor, size, first_step, last_use.get(tensor, first_step))

    block_of = {graph.input: [buffer(graph.input, 0)]}
    blocks = [block_of[graph.input]]
    for step, operator in enumerate(operators):
        dying = {name for name in operator.inputs if last_use[name] == step}
        taken = overwritten_input(operator, kernels[operator.name], graph, dying)
        if taken is None:
            block_of[operator.output] = [buffer(operator.output, step)]
            blocks.append(block_of[operator.output])
        else:
            block_of[operator.output] = block_of[taken]
            block_of[taken].append(buffer(operator.output, step + 1))
    return tuple(tuple(block) for block in blocks)


def _lower_bound(buffers: Sequence[Buffer], steps: int) -> int:
    return max(
        sum(b.size for b in buffers if b.first_step <= step <= b.last_step)
        for step in range(steps + 1)
    )


def _pack_tightest(blocks: Sequence[_Block], bound: int) -> dict[str, int]:
    clashes = _clashes(blocks)
    sizes = [block[0].size for block in blocks]
    spans = [(block[0].first_step, block[-1].last_step) for block in blocks]
    orders = [
        sorted(range(len(blocks)), key=key)
        for key in (
            lambda i: (-sizes[i], spans[i][0]),
            lambda i: (spans[i][0], -sizes[i]),
            lambda i: (spans[i][0] - spans[i][1], -sizes[i]),
            lambda i: (-sizes[i] * (spans[i][1] - spans[i][0] + 1), spans[i][0]),
        )
    ]
    best: list[int] = []
    best_size: int | None = None
    generator = random.Random(0)
    order = orders[0]
    for attempt in range(_ATTEMPTS):
        if attempt % _PROMOTIONS == 0:
            start = attempt // _PROMOTIONS
            order = orders[start] if start < len(orders) else generator.sample(order, len(order))
        offsets = _first_fit(order, clashes)
        tops = [offset + size for offset, size in zip(offsets, sizes, strict=True)]
        size = max(tops)
        if best_size is None or size < best_size:
            best, best_size = offsets, size
        if best_size <= bound:
            break
        # What ends highest was placed too late.
        order = sorted(order, key=lambda block: tops[block] < size)
    return {
        buffer.name: offset for block, offset in zip(blocks, best, strict=True) for buffer in block
    }


def _clashes(blocks: Sequence[_Block]) -> list[dict[int, tuple[_Clash, ...]]]:
    """For each block those that it must keep clear of, with the sizes of their buffers."""
    return [
        {
            index: clashes
            for index, theirs in enumerate(blocks)
            if theirs is not mine and (clashes := _clashes_of(mine, theirs))
        }
        for mine in blocks
    ]


def _clashes_of(mine: _Block, theirs: _Block) -> tuple[_Clash, ...]:
    if mine[0].first_step > theirs[-1].last_step or theirs[0].first_step > mine[-1].last_step:
        return ()
    return tuple(
        (a.size, b.size)
        for a in mine
        for b in theirs
        if a.first_step <= b.last_step and b.first_step <= a.last_step
    )


def _first_fit(
    order: Sequence[int], clashes: Sequence[Mapping[int, Sequence[_Clash]]]
) -> list[int]:
    """Place each block at the lowest offset where none of its buffers meets another in use."""
    offsets = [0] * len(order)
    placed: set[int] = set()
    for block in order:
        taken = sorted(
            (offsets[other] - size, offsets[other] + other_size)
            for other, sizes in clashes[block].items()
            if other in placed
            for size, other_size in sizes
        )
        offset = 0
        for low, high in taken:  # offsets between the two, both excluded, would overlap
            if offset <= low:
                break
            offset = max(offset, high)
        offsets[block] = offset
        placed.add(block)
    return offsets

"""The memory plan: an offset for every tensor and scratch buffer, so that none in use overlap.

Tensors that are written in place share one buffer. Offsets are packed first-fit in several
orders and the tightest result is kept; `lower_bound` is what no packing can go below.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernels import Kernel
from automcu.compiler.schedule import overwritten_input

ALIGNMENT = 4  # word loads of tensors; LDRD and LDM need no more
_SHUFFLES = 200


@dataclass(frozen=True)
class Buffer:
    """`size` bytes in use from step `first_step` to `last_step`, both included."""

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


def plan_arena(graph: Graph, operators: Sequence[Operator], kernels: Mapping[str, Kernel]) -> Arena:
    """Plan the memory of `operators` run in this order."""
    homes, buffers = _tensor_buffers(graph, operators, kernels)
    scratch = {
        op.name: Buffer(f"{op.name} scratch", _aligned(kernels[op.name].scratch_bytes), step, step)
        for step, op in enumerate(operators)
        if kernels[op.name].scratch_bytes
    }
    everything = (*buffers, *scratch.values())
    bound = _lower_bound(everything, len(operators))
    offsets = _pack_tightest(everything, bound)
    return Arena(
        buffers=everything,
        offsets=offsets,
        tensor_offsets={tensor: offsets[home] for tensor, home in homes.items()},
        scratch_offsets={name: offsets[buffer.name] for name, buffer in scratch.items()},
        size=max((offsets[b.name] + b.size for b in everything), default=0),
        lower_bound=bound,
    )


def _tensor_buffers(
    graph: Graph, operators: Sequence[Operator], kernels: Mapping[str, Kernel]
) -> tuple[dict[str, str], tuple[Buffer, ...]]:
    """The buffer that each tensor lives in (named after its first tensor), and all buffers."""
    last_use = {graph.output: len(operators) - 1}
    for step, operator in enumerate(operators):
        for name in operator.inputs:
            last_use[name] = max(step, last_use.get(name, step))
    homes = {graph.input: graph.input}
    spans = {graph.input: (graph.tensors[graph.input].size, 0, last_use.get(graph.input, 0))}
    for step, operator in enumerate(operators):
        dying = {n for n in operator.inputs if last_use[n] == step and n != graph.output}
        taken = overwritten_input(operator, kernels[operator.name], graph, dying)
        size = graph.tensors[operator.output].size
        last = last_use.get(operator.output, step)
        if taken is None:
            homes[operator.output] = operator.output
            spans[operator.output] = (size, step, last)
        else:
            home = homes[operator.output] = homes[taken]
            spans[home] = (spans[home][0], spans[home][1], last)
    return homes, tuple(Buffer(n, _aligned(s), f, t) for n, (s, f, t) in spans.items())


def _lower_bound(buffers: Sequence[Buffer], steps: int) -> int:
    return max(
        (
            sum(b.size for b in buffers if b.first_step <= step <= b.last_step)
            for step in range(steps)
        ),
        default=0,
    )


def _pack_tightest(buffers: Sequence[Buffer], bound: int) -> dict[str, int]:
    orders = [
        sorted(buffers, key=lambda b: (-b.size, b.first_step)),
        sorted(buffers, key=lambda b: (b.first_step, -b.size)),
        sorted(buffers, key=lambda b: (b.first_step - b.last_step, -b.size)),
        sorted(buffers, key=lambda b: (-b.size * (b.last_step - b.first_step + 1), b.first_step)),
    ]
    best: dict[str, int] = {}
    best_size: int | None = None
    generator = random.Random(0)
    for attempt in range(len(orders) + _SHUFFLES):
        if attempt < len(orders):
            order = orders[attempt]
        else:
            order = list(buffers)
            generator.shuffle(order)
        offsets = _first_fit(order)
        size = max((offsets[b.name] + b.size for b in buffers), default=0)
        if best_size is None or size < best_size:
            best, best_size = offsets, size
        if best_size <= bound:
            break
    return best


def _first_fit(order: Sequence[Buffer]) -> dict[str, int]:
    """Place each buffer at the lowest offset that no buffer in use at the same time covers."""
    placed: list[tuple[int, Buffer]] = []
    offsets: dict[str, int] = {}
    for buffer in order:
        offset = 0
        for other_offset, other in placed:
            if other.last_step < buffer.first_step or buffer.last_step < other.first_step:
                continue
            if other_offset >= offset + buffer.size:
                break
            offset = max(offset, other_offset + other.size)
        offsets[buffer.name] = offset
        placed.append((offset, buffer))
        placed.sort(key=lambda pair: pair[0])
    return offsets


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT

"""The order of operators that needs the least memory at its worst moment, and the memory plan.

Where only one tensor is alive the graph falls into segments that cannot mix. Within a segment all
orders are weighed by dynamic programming over the sets of operators done so far. A segment with
too many such sets keeps the order of the file, or goes depth first where that needs less. Neither
names nor, but for such segments, the order of the file have a say in the result: two files that
hold one network become one program.

The plan has an offset for every tensor and scratch buffer, so that none in use overlap. A tensor
that is written over its operator's input shares that input's offset; where it is smaller, the rest
of the bytes is free again. Offsets are packed first-fit in several orders and the tightest result
is kept; `lower_bound` is what no packing can go below.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernel import Kernel

ALIGNMENT = 4  # word loads of tensors; LDRD and LDM need no more
_MOST_STATES = 20_000


def schedule(graph: Graph, kernels: Mapping[str, Kernel]) -> tuple[Operator, ...]:
    """Order the graph's operators; `kernels` by operator name say what may be written in place."""
    ordered: list[Operator] = []
    rank = {operator.name: index for index, operator in enumerate(_depth_first(graph))}
    for operators in _segments(graph):
        segment = _Segment(sorted(operators, key=lambda op: rank[op.name]), graph, kernels)
        order = segment.best_order()
        if order is None:
            given = _Segment(operators, graph, kernels)
            segment = min(segment, given, key=_Segment.peak)
            order = range(len(operators))
        ordered.extend(segment.operators[index] for index in order)
    return tuple(ordered)


def occupied_bytes(size: int) -> int:
    """What a tensor or scratch area of `size` bytes takes in the arena."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def overwritten_input(
    operator: Operator, kernel: Kernel, graph: Graph, dying: set[str]
) -> str | None:
    """The input whose memory the output takes: one that dies here and is large enough."""
    size = graph.tensors[operator.output].size
    for index in kernel.overwrites:
        name = operator.inputs[index]
        aliases = [other for i, other in enumerate(operator.inputs) if i != index]
        if name in dying and name not in aliases and graph.tensors[name].size >= size:
            return name
    return None


def _depth_first(graph: Graph) -> Iterator[Operator]:
    """The operators before the output, each branch finished before the next is begun."""
    producers = {operator.output: operator for operator in graph.operators}
    waiting = [(graph.output, False)]
    done = {graph.input}
    while waiting:
        name, inputs_are_done = waiting.pop()
        if name in done:
            continue
        operator = producers[name]
        if inputs_are_done:
            done.add(name)
            yield operator
        else:
            waiting.append((name, True))
            waiting.extend((source, False) for source in reversed(operator.inputs))


def _segments(graph: Graph) -> Iterator[list[Operator]]:
    last_use = {graph.output: len(graph.operators)}
    for position, operator in enumerate(graph.operators):
        for name in operator.inputs:
            last_use[name] = max(position, last_use.get(name, position))
    segment: list[Operator] = []
    live = {graph.input}
    for position, operator in enumerate(graph.operators):
        segment.append(operator)
        live.add(operator.output)
        live = {name for name in live if last_use.get(name, -1) > position}
        if len(live) == 1:
            yield segment
            segment = []


class _Segment:
    """Operators between two moments at which one tensor is alive; sets of them are bit sets."""

    def __init__(
        self, operators: Sequence[Operator], graph: Graph, kernels: Mapping[str, Kernel]
    ) -> None:
        self.operators = operators
        self.graph = graph
        self.kernels = kernels
        self.position = {operator.output: index for index, operator in enumerate(operators)}
        self.needs = [
            sum(1 << self.position[name] for name in set(op.inputs) if name in self.position)
            for op in operators
        ]
        self.readers: dict[str, int] = {}
        for index, operator in enumerate(operators):
            for name in operator.inputs:
                self.readers[name] = self.readers.get(name, 0) | 1 << index

    def best_order(self) -> Sequence[int] | None:
        """Positions in the order of the lowest peak; ties go to the given order.

        None where there are too many sets to weigh.
        """
        # By what is done: the peak so far, then the order as positions.
        layer: dict[int, tuple[int, tuple[int, ...]]] = {0: (0, ())}
        seen = 0
        for _ in self.operators:
            following: dict[int, tuple[int, tuple[int, ...]]] = {}
            for done, (peak, order) in layer.items():
                occupied = self._occupied(done)
                for index in self._ready(done):
                    after = done | 1 << index
                    needed = occupied + self._needed(done, index)
                    candidate = (max(peak, needed), (*order, index))
                    if after not in following or candidate < following[after]:
                        following[after] = candidate
            seen += len(following)
            if seen > _MOST_STATES:
                return None
            layer = following
        return layer[(1 << len(self.operators)) - 1][1]

    def peak(self) -> int:
        """Bytes at the worst moment of the given order."""
        return max(
            self._occupied((1 << index) - 1) + self._needed((1 << index) - 1, index)
            for index in range(len(self.operators))
        )

    def _ready(self, done: int) -> Iterator[int]:
        for index, needs in enumerate(self.needs):
            if not done >> index & 1 and not needs & ~done:
                yield index

    def _occupied(self, done: int) -> int:
        """Bytes of the tensors in memory after the operators in `done`."""
        return sum(
            occupied_bytes(self.graph.tensors[name].size)
            for name in (*self.position, *self.readers.keys() - self.position.keys())
            if (name not in self.position or done >> self.position[name] & 1)
            and not self._is_dead(name, done)
        )

    def _needed(self, done: int, index: int) -> int:
        """Bytes that an operator needs besides: scratch, and its result unless it is in place."""
        operator = self.operators[index]
        kernel = self.kernels[operator.name]
        after = done | 1 << index
        dying = {name for name in operator.inputs if self._is_dead(name, after)}
        needed = occupied_bytes(kernel.scratch_bytes)
        if overwritten_input(operator, kernel, self.graph, dying) is None:
            needed += occupied_bytes(self.graph.tensors[operator.output].size)
        return needed

    def _is_dead(self, name: str, done: int) -> bool:
        """Whether all that read the tensor are done; what nothing reads outlives the segment."""
        return name in self.readers and not self.readers[name] & ~done


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

"""The order of operators that needs the least memory at its worst moment.

Where only one tensor is alive the graph falls into segments that cannot mix. Within a segment all
orders are weighed by dynamic programming over the sets of operators done so far. A segment with
too many such sets keeps the order of the file, or goes depth first where that needs less.

Neither names nor, but for such segments, the order of the file have a say in the result: two files
that hold one network become one program.
"""

from collections.abc import Iterator, Mapping, Sequence

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

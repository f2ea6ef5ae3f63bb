"""The order of operators that needs the least memory at its worst moment.

Where only one tensor is alive the graph falls into segments that cannot mix. Within a segment all
orders are weighed by dynamic programming over the sets of operators done so far; a segment with
too many such sets keeps the order of the file.
"""

from collections.abc import Iterator, Mapping, Sequence

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernels import Kernel

ALIGNMENT = 4  # word loads of tensors; LDRD and LDM need no more
_MOST_STATES = 20_000


def schedule(graph: Graph, kernels: Mapping[str, Kernel]) -> tuple[Operator, ...]:
    """Order the graph's operators; `kernels` by operator name say what may be written in place."""
    ordered: list[Operator] = []
    for segment in _segments(graph):
        ordered.extend(_best_order(segment, graph, kernels) if len(segment) > 2 else segment)
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
    if segment:
        yield segment


def _best_order(
    segment: Sequence[Operator], graph: Graph, kernels: Mapping[str, Kernel]
) -> Sequence[Operator]:
    """Minimise the peak over all orders of `segment`; falls back to the given order."""
    position = {operator.output: index for index, operator in enumerate(segment)}
    needs = [
        sum(1 << position[name] for name in set(op.inputs) if name in position) for op in segment
    ]
    readers: dict[str, int] = {}
    for index, operator in enumerate(segment):
        for name in operator.inputs:
            readers[name] = readers.get(name, 0) | 1 << index
    survivors = {name for name in position if name not in readers} | {segment[-1].output}
    everything = (1 << len(segment)) - 1
    # Peak so far, then the order as positions: ties are broken towards the given order.
    layer: dict[int, tuple[int, tuple[int, ...]]] = {0: (0, ())}
    seen = 0
    for _ in segment:
        following: dict[int, tuple[int, tuple[int, ...]]] = {}
        for done, (peak, order) in layer.items():
            live = _live(done, readers, position, survivors)
            occupied = sum(occupied_bytes(graph.tensors[name].size) for name in live)
            for index, operator in enumerate(segment):
                if done >> index & 1 or needs[index] & ~done:
                    continue
                after = done | 1 << index
                dying = {
                    name
                    for name in operator.inputs
                    if name not in survivors and not readers[name] & ~after
                }
                kernel = kernels[operator.name]
                needed = occupied + occupied_bytes(kernel.scratch_bytes)
                if overwritten_input(operator, kernel, graph, dying) is None:
                    needed += occupied_bytes(graph.tensors[operator.output].size)
                candidate = (max(peak, needed), (*order, index))
                if after not in following or candidate < following[after]:
                    following[after] = candidate
        seen += len(following)
        if seen > _MOST_STATES:
            return segment
        layer = following
    return [segment[index] for index in layer[everything][1]]


def _live(
    done: int, readers: Mapping[str, int], position: Mapping[str, int], survivors: set[str]
) -> set[str]:
    """Tensors in memory after the operators in the bit set `done`."""
    outside = {name for name, users in readers.items() if name not in position and users & ~done}
    inside = {
        name
        for name, index in position.items()
        if done >> index & 1 and (name in survivors or readers.get(name, 0) & ~done)
    }
    return outside | inside

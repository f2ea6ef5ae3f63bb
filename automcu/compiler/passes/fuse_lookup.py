"""Functions of one tensor, element by element, become one table, whatever they are made of.

A hard-swish that a file spells as add, clip, multiply, multiply is a function of one int8 value.
The table is what the operators compute for each of the 256 values, so it changes no result.
"""

import numpy as np

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.lowering import lower
from automcu.compiler.ops import Add, Lookup, Multiply, Rescale
from automcu.compiler.ops.lookup import ALL_INPUTS
from automcu.compiler.reference import run_operator
from automcu.compiler.shapes import operator_title

_ELEMENTWISE = (Add, Lookup, Multiply, Rescale)


def fuse_lookups(graph: Graph) -> Graph:
    """Replace each group of such operators whose results nothing else reads.

    A group without any table is left alone: sums and clamps need no flash.
    """
    for last in reversed(graph.operators):
        if last not in graph.operators or not isinstance(last.attributes, _ELEMENTWISE):
            continue
        group = _group(last, graph)
        has_table = any(isinstance(operator.attributes, Lookup) for operator in group)
        if len(group) > 1 and has_table:
            table = _replacement(group, graph)
            graph = graph.with_operators(
                table if operator is last else operator
                for operator in graph.operators
                if operator is last or not any(operator is member for member in group)
            )
    return graph


def _group(last: Operator, graph: Graph) -> list[Operator]:
    """Operators that make `last` a function of one tensor, in order; just `last` if none do."""
    group, best = [last], [last]
    while True:
        outside = _outside(group)
        if len(outside) == 1:
            best = list(group)
        producer = next((p for name in outside if (p := _absorbable(name, group, graph))), None)
        if producer is None:
            return sorted(best, key=graph.operators.index) if _is_function(best) else [last]
        group.append(producer)


def _outside(group: list[Operator]) -> list[str]:
    """Tensors that the group reads and does not compute."""
    inside = {operator.output for operator in group}
    return sorted({name for op in group for name in op.inputs if name not in inside})


def _is_function(group: list[Operator]) -> bool:
    return len(_outside(group)) == 1


def _absorbable(name: str, group: list[Operator], graph: Graph) -> Operator | None:
    """The element-wise producer of a tensor that only the group reads."""
    producer = graph.producer(name)
    if producer is None or not isinstance(producer.attributes, _ELEMENTWISE):
        return None
    if name == graph.output or graph.tensors[name].quantisation is None:
        return None
    if any(all(reader is not member for member in group) for reader in graph.consumers(name)):
        return None
    sizes = {graph.tensors[source].shape for source in (*producer.inputs, name)}
    return producer if len(sizes) == 1 else None


def _replacement(group: list[Operator], graph: Graph) -> Operator:
    """One table for the group."""
    last = group[-1]
    (root,) = _outside(group)
    name = " + ".join(operator_title(operator, graph) for operator in group)
    has_values = all(
        operator.attributes.table is not None
        for operator in group
        if isinstance(operator.attributes, Lookup)
    )
    table = None
    if has_values:
        values = {root: ALL_INPUTS.astype(np.int8).reshape(1, 1, -1, 1)}
        for operator in group:
            sources = tuple(values[source] for source in operator.inputs)
            values[operator.output] = run_operator(operator, lower(operator, graph), sources)
        table = values[last.output].reshape(-1)
    return Operator(last.name, (root,), last.output, Lookup(name, table))

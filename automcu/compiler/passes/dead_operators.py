"""Operators whose result nothing uses."""

from automcu.compiler.graph import Graph, Operator


def remove_dead_operators(graph: Graph) -> Graph:
    """Keep what lies on a path to the graph's output."""
    needed = {graph.output}
    kept: list[Operator] = []
    for operator in reversed(graph.operators):
        if operator.output in needed:
            needed.update(operator.inputs)
            kept.append(operator)
    return graph.with_operators(reversed(kept))

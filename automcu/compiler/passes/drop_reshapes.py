"""Reshapes of the network's input and output: the tensor there takes the shape it is read with."""

from dataclasses import replace

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.ops import Rearrange
from automcu.compiler.ops.rearrange import moves_nothing


def drop_reshapes(graph: Graph) -> Graph:
    """Remove operators that move nothing where a tensor's shape is free to choose."""
    for name in [operator.name for operator in graph.operators]:
        operator = next(operator for operator in graph.operators if operator.name == name)
        if isinstance(operator.attributes, Rearrange):
            source = graph.tensors[operator.inputs[0]]
            if moves_nothing(operator.attributes, source.shape):
                graph = _without(operator, operator.attributes, graph)
    return graph


def _without(operator: Operator, attributes: Rearrange, graph: Graph) -> Graph:
    source = graph.tensors[operator.inputs[0]]
    others = [other for other in graph.operators if other is not operator]
    if operator.output == graph.output and source.name != graph.input:
        return replace(graph, output=source.name).with_operators(others)
    if source.name != graph.input or len(graph.consumers(source.name)) > 1 or not others:
        return graph
    reshaped = replace(source, shape=attributes.shape)
    graph = replace(graph, tensors={**graph.tensors, source.name: reshaped})
    return graph.with_operators(
        replace(
            other,
            inputs=tuple(source.name if name == operator.output else name for name in other.inputs),
        )
        for other in others
    )

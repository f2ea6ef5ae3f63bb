"""Clamps that int8 makes by itself: a ReLU whose result starts at -128 needs no code."""

from dataclasses import replace

from automcu.compiler.fixed_point import INT8_MAX, INT8_MIN
from automcu.compiler.graph import Graph, Operator
from automcu.compiler.ops import Add, AveragePool, Convolution, Multiply, Rescale
from automcu.compiler.ops.clamp import NO_CLAMP, integer_limits


def drop_clamps(graph: Graph) -> Graph:
    """Remove each clamp whose limits are those of int8 in its tensor's quantisation."""
    return graph.with_operators(_simplified(operator, graph) for operator in graph.operators)


def _simplified(operator: Operator, graph: Graph) -> Operator:
    attributes = operator.attributes
    quantisation = graph.tensors[operator.output].quantisation
    if quantisation is None:
        return operator
    match attributes:
        case Convolution(sum_scale=float()):
            return operator
        case Add() | AveragePool() | Convolution() | Multiply() | Rescale():
            limits = integer_limits(attributes.clamp, quantisation.scale, quantisation.zero_point)
            if attributes.clamp == NO_CLAMP or limits != (INT8_MIN, INT8_MAX):
                return operator
            return replace(operator, attributes=replace(attributes, clamp=NO_CLAMP))
        case _:
            return operator

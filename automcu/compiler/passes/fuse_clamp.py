"""ReLU and other clamps go into the operator that produces their input.

Where that one takes no clamp and its result has no scale of its own, it gets that of the clamp's
result: there, rounding before the clamp or behind it is the same.
"""

from dataclasses import replace

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.ops import (
    Add,
    AddConstant,
    AveragePool,
    Convolution,
    Multiply,
    Rescale,
)
from automcu.compiler.ops.clamp import Clamp, intersect


def fuse_clamps(graph: Graph) -> Graph:
    """Fuse each stand-alone clamp whose input nothing else reads."""
    for rescale in graph.operators:
        if not isinstance(rescale.attributes, Rescale):
            continue
        producer = graph.producer(rescale.inputs[0])
        if producer is None or len(graph.consumers(producer.output)) > 1:
            continue
        if producer.output == graph.output:
            continue
        between, result = (graph.tensors[op.output].quantisation for op in (producer, rescale))
        if between not in (None, result):
            continue  # the file rounds and saturates twice, on two scales: so do we
        fused = _fused(producer, rescale.output, rescale.attributes.clamp)
        if fused is not None:
            graph = graph.with_operators(
                fused if op is producer else op for op in graph.operators if op is not rescale
            )
        elif between is None and result is not None:
            tensor = replace(graph.tensors[producer.output], quantisation=result)
            graph = replace(graph, tensors={**graph.tensors, tensor.name: tensor})
    return graph


def _fused(producer: Operator, output: str, clamp: Clamp) -> Operator | None:
    match producer.attributes:
        case Convolution(sum_scale=None) as attributes:
            fused = replace(attributes, clamp=intersect(attributes.clamp, clamp))
            return replace(producer, attributes=fused, output=output)
        case Convolution() as attributes:
            fused = replace(attributes, sum_clamp=intersect(attributes.sum_clamp, clamp))
            return replace(producer, attributes=fused, output=output)
        case Add() | AddConstant() | AveragePool() | Multiply() | Rescale() as attributes:
            simple = replace(attributes, clamp=intersect(attributes.clamp, clamp))
            return replace(producer, attributes=simple, output=output)
        case _:
            return None

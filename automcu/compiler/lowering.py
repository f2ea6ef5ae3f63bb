"""From real scales to the integers that the kernels and the reference compute with."""

from automcu.compiler.graph import Graph, Operator, Quantisation
from automcu.compiler.ops import Integers, definition_of
from automcu.errors import UnsupportedModelError

__all__ = ["Integers", "lower"]


def lower(operator: Operator, graph: Graph) -> Integers:
    """Compute the integers of one operator; None for an operator that needs none.

    Raises:
        UnsupportedModelError: an accumulator could overflow, or scales cannot be represented.
    """
    try:
        sources = tuple(_quantisation(graph, name) for name in operator.inputs)
        result = _quantisation(graph, operator.output)
        integers: Integers = definition_of(operator.attributes).lower(
            operator.attributes, sources, result
        )
    except UnsupportedModelError as error:
        raise UnsupportedModelError(f"layer {operator.name}: {error}") from error
    return integers


def _quantisation(graph: Graph, tensor: str) -> Quantisation:
    quantisation = graph.tensors[tensor].quantisation
    if quantisation is None:
        raise UnsupportedModelError(
            f"tensor {tensor} is not quantised. Quantise the whole model to int8 (QDQ)."
        )
    return quantisation

"""From real scales to the integers that the kernels and the reference compute with."""

from math import inf

import numpy as np

from automcu.compiler import fixed_point
from automcu.compiler.graph import Graph, Operator, Quantisation
from automcu.compiler.operators import Add, AveragePool, Convolution, MaxPool, Rescale
from automcu.compiler.operators.clamp import integer_limits
from automcu.compiler.operators.convolution import ConvolutionIntegers
from automcu.compiler.operators.pool import AveragePoolIntegers, pixel_counts
from automcu.compiler.operators.rescale import RescaleIntegers
from automcu.errors import UnsupportedModelError

Integers = (
    ConvolutionIntegers | fixed_point.AddScaling | AveragePoolIntegers | RescaleIntegers | None
)
_INPUT_SPAN = 255  # the largest magnitude of an int8 value minus its zero point


def lower(operator: Operator, graph: Graph) -> Integers:
    """Compute the integers of one operator; None for an operator that needs none.

    Raises:
        UnsupportedModelError: an accumulator could overflow, or scales cannot be represented.
    """
    try:
        match operator.attributes:
            case Convolution():
                return _convolution(operator, operator.attributes, graph)
            case Add():
                return _add(operator, operator.attributes, graph)
            case AveragePool():
                return _average_pool(operator, operator.attributes, graph)
            case Rescale():
                return _rescale(operator, operator.attributes, graph)
            case MaxPool():
                return None
    except UnsupportedModelError as error:
        raise UnsupportedModelError(f"layer {operator.name}: {error}") from error


def _quantisation(graph: Graph, tensor: str) -> Quantisation:
    quantisation = graph.tensors[tensor].quantisation
    if quantisation is None:
        raise UnsupportedModelError(
            f"tensor {tensor} is not quantised. Quantise the whole model to int8 (QDQ)."
        )
    return quantisation


def _convolution(operator: Operator, attributes: Convolution, graph: Graph) -> ConvolutionIntegers:
    source = _quantisation(graph, operator.inputs[0])
    result = _quantisation(graph, operator.output)
    if attributes.weights is None or attributes.bias is None or attributes.weight_scales is None:
        raise ValueError(f"{operator.name} has no weights: it can be costed but not lowered")
    direct = result
    residual = None
    if attributes.sum_scale is not None:
        direct = Quantisation(attributes.sum_scale, attributes.sum_zero_point)
        other = _quantisation(graph, operator.inputs[1])
        residual = fixed_point.add_scaling(
            direct.scale / result.scale,
            other.scale / result.scale,
            (direct.zero_point, other.zero_point, result.zero_point),
            *integer_limits(attributes.sum_clamp, result.scale, result.zero_point),
        )
    weights = attributes.weights.astype(np.int64)
    per_channel = weights.reshape(attributes.out_channels, -1)
    bias = attributes.bias.astype(np.int64) - source.zero_point * per_channel.sum(axis=1)
    # Raw int8 inputs reach 128; the folded bias is what the accumulator starts from.
    bound = int((np.abs(per_channel).sum(axis=1) * 128 + np.abs(bias)).max())
    if bound > np.iinfo(np.int32).max:
        raise UnsupportedModelError("its accumulators overflow 32 bits. Split the layer.")
    scaling = fixed_point.requantisation(
        source.scale * attributes.weight_scales / direct.scale,
        bound,
        direct.zero_point,
        *integer_limits(attributes.clamp, direct.scale, direct.zero_point),
    )
    return ConvolutionIntegers(
        attributes.weights, bias.astype(np.int32), scaling, source.zero_point, residual
    )


def _add(operator: Operator, attributes: Add, graph: Graph) -> fixed_point.AddScaling:
    first, second = (_quantisation(graph, name) for name in operator.inputs)
    result = _quantisation(graph, operator.output)
    return fixed_point.add_scaling(
        first.scale / result.scale,
        attributes.sign * second.scale / result.scale,
        (first.zero_point, second.zero_point, result.zero_point),
        *integer_limits(attributes.clamp, result.scale, result.zero_point),
    )


def _average_pool(operator: Operator, attributes: AveragePool, graph: Graph) -> AveragePoolIntegers:
    source = _quantisation(graph, operator.inputs[0])
    result = _quantisation(graph, operator.output)
    largest = attributes.window.height * attributes.window.width
    counts = np.array([inf, *range(1, largest + 1)])  # nothing is divided by index 0
    scaling = fixed_point.requantisation(
        source.scale / result.scale / counts,
        largest * _INPUT_SPAN,
        result.zero_point,
        *integer_limits(attributes.clamp, result.scale, result.zero_point),
    )
    return AveragePoolIntegers(scaling, source.zero_point)


def _rescale(operator: Operator, attributes: Rescale, graph: Graph) -> RescaleIntegers:
    source = _quantisation(graph, operator.inputs[0])
    result = _quantisation(graph, operator.output)
    scaling = fixed_point.requantisation(
        np.array([source.scale / result.scale]),
        _INPUT_SPAN,
        result.zero_point,
        *integer_limits(attributes.clamp, result.scale, result.zero_point),
    )
    return RescaleIntegers(scaling, source.zero_point)


def needed_counts(attributes: AveragePool, height: int, width: int) -> tuple[int, ...]:
    """The distinct numbers of pixels that the windows of this layer cover, ascending."""
    if attributes.padding_counts:
        return (attributes.window.height * attributes.window.width,)
    counts = np.unique(pixel_counts(attributes.window, height, width))
    return tuple(int(count) for count in counts)

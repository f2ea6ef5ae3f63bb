"""Weights of fewer than 8 bits, or ternary: int8 weights rounded once more, layer by layer.

Each output channel gets the scale with the smallest squared error: a grid of scales, from that
which clips no weight downwards, each refined by least squares. To clip a few large weights often
costs less than to step coarsely over all (Banner et al., Post training 4-bit quantization of
convolutional networks, NeurIPS 2019).
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.ops import Convolution
from automcu.compiler.weight_packing import FULL_WIDTH, LAYOUTS

WIDTHS = (FULL_WIDTH, *sorted(LAYOUTS, reverse=True))
_GRID = np.linspace(1.0, 0.3, 36)  # of the scale that clips nothing
_REFINEMENTS = 2
_TINY = np.finfo(np.float64).tiny
_BIAS_LIMIT = (1 << 31) - 1

Reals = NDArray[np.float64]


def reducible_layers(graph: Graph) -> tuple[str, ...]:
    """Convolutions and fully connected layers, in the graph's order, by name.

    Not depthwise ones: they hold few weights and are sensitive to rounding. Nor those whose weights
    are ternary already.
    """
    return tuple(operator.name for operator in graph.operators if _is_reducible(operator, graph))


def reduce_weight_bits(graph: Graph, bits: int | Mapping[str, int]) -> Graph:
    """Round the weights to `bits`, 8, 6, 4, 3 or 2: of each named layer, or of the usual ones.

    A number leaves the first and the last layer of `reducible_layers` alone, which are the most
    sensitive and seldom large. The graph must hold its weights.
    """
    if isinstance(bits, int):
        bits = dict.fromkeys(reducible_layers(graph)[1:-1], bits)
    return replace(
        graph,
        operators=tuple(
            _reduced(operator, bits.get(operator.name, FULL_WIDTH)) for operator in graph.operators
        ),
    )


def ternary_weights(graph: Graph) -> Graph:
    """Round the weights of the usual layers to -1, 0 and 1, a scale for each channel.

    Those are all of `reducible_layers` but the first, the last and grouped ones. Accuracy
    suffers more than by any width, unless the network was trained for it.
    """
    chosen = set(reducible_layers(graph)[1:-1])
    return replace(
        graph,
        operators=tuple(
            replace(operator, attributes=ternary_convolution(operator.attributes))
            if operator.name in chosen
            and isinstance(operator.attributes, Convolution)
            and operator.attributes.groups == 1
            else operator
            for operator in graph.operators
        ),
    )


def ternary_convolution(attributes: Convolution) -> Convolution:
    """The layer with weights of -1, 0 and 1, and the scales with the smallest squared errors."""
    return replace(_rounded(attributes, -1, 1, unit=1), ternary=True, weight_bits=FULL_WIDTH)


def reduce_convolution_bits(attributes: Convolution, bits: int) -> Convolution:
    """The layer with weights of `bits`: int8 multiples of 2^(8 - bits) with scales of their own.

    The bias is expressed in the new scale; a weight offset is rounded into the weights.
    """
    lowest, highest = _limits(bits)
    rounded = _rounded(attributes, lowest, highest, unit=1 << (FULL_WIDTH - bits))
    return replace(rounded, weight_bits=bits, ternary=False)


def _rounded(attributes: Convolution, lowest: int, highest: int, unit: int) -> Convolution:
    """The layer with integers between the limits, which are stored times `unit`."""
    if attributes.weights is None or attributes.weight_scales is None or attributes.bias is None:
        raise ValueError("a convolution without weights cannot have fewer bits")
    real = real_weights(attributes).reshape(attributes.out_channels, -1)
    steps, scales = _best_scales(real, lowest, highest)
    scales = np.where(scales > 0, scales / unit, attributes.weight_scales)
    bias = np.rint(attributes.bias * (attributes.weight_scales / scales))
    return replace(
        attributes,
        weights=(steps * unit).astype(np.int8).reshape(attributes.weights.shape),
        weight_scales=scales,
        bias=np.clip(bias, -_BIAS_LIMIT, _BIAS_LIMIT).astype(np.int32),
        weight_offsets=None,
        shared_scale=False,
    )


def real_weights(attributes: Convolution) -> Reals:
    """What the integers [out, height, width, in / groups] stand for."""
    assert attributes.weights is not None and attributes.weight_scales is not None
    integers = attributes.weights.astype(np.float64)
    if attributes.weight_offsets is not None:
        integers += attributes.weight_offsets[:, None, None, None]
    return np.asarray(integers * attributes.weight_scales[:, None, None, None])


def round_channels(real: Reals, bits: int) -> tuple[Reals, Reals]:
    """Integers [channels, depth] of `bits` and a scale for each channel, for real weights.

    The scale of a channel without weights is 0.
    """
    return _best_scales(real, *_limits(bits))


def _limits(bits: int) -> tuple[int, int]:
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def _best_scales(real: Reals, lowest: int, highest: int) -> tuple[Reals, Reals]:
    largest = np.abs(real).max(axis=1) / highest
    best = np.full(len(real), np.inf)
    steps, scales = np.zeros_like(real), np.zeros(len(real))
    for factor in _GRID:
        scale = largest * factor
        for _ in range(_REFINEMENTS):
            candidate = _round(real, scale, lowest, highest)
            scale = _least_squares(real, candidate, scale)
        candidate = _round(real, scale, lowest, highest)
        error = ((candidate * scale[:, None] - real) ** 2).sum(axis=1)
        better = error < best
        best = np.where(better, error, best)
        scales = np.where(better, scale, scales)
        steps = np.where(better[:, None], candidate, steps)
    return steps, scales


def _round(real: Reals, scale: Reals, lowest: int, highest: int) -> Reals:
    return np.clip(np.rint(real / np.maximum(scale, _TINY)[:, None]), lowest, highest)


def _least_squares(real: Reals, steps: Reals, scale: Reals) -> Reals:
    """The scale that brings these steps closest to the weights, where there are any."""
    norms = (steps * steps).sum(axis=1)
    projected = (real * steps).sum(axis=1) / np.maximum(norms, 1.0)
    return np.where((norms > 0) & (projected > 0), projected, scale)


def _is_reducible(operator: Operator, graph: Graph) -> bool:
    attributes = operator.attributes
    if not isinstance(attributes, Convolution) or attributes.ternary:
        return False
    in_channels = graph.tensors[operator.inputs[0]].shape[2]
    return attributes.groups == 1 or attributes.groups < in_channels


def _reduced(operator: Operator, bits: int) -> Operator:
    if bits == FULL_WIDTH:
        return operator
    if not isinstance(operator.attributes, Convolution):
        raise ValueError(f"{operator.name} is no convolution")
    return replace(operator, attributes=reduce_convolution_bits(operator.attributes, bits))

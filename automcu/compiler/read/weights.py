"""A layer's weights and bias, as the integers that a convolution of ours holds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.ops import Convolution
from automcu.compiler.tensor import NO_CLAMP, Clamp
from automcu.compiler.window import Window
from automcu.errors import UnsupportedModelError

TERNARY_FROM = 64  # weights: a smaller layer of -1, 0 and 1 is hardly meant to be ternary
_INT8 = np.iinfo(np.int8)
_INT32 = np.iinfo(np.int32)
_WEIGHT_SPAN = 255  # an int8 weight plus an offset covers so many steps
_DEAD_CHANNEL_BITS = 20  # resolution of the bias of a channel whose weights are all zero


@dataclass(frozen=True, eq=False)
class Weights:
    """Integers int64 [out, ...] less their zero point, and a scale for each output channel."""

    integers: NDArray[np.int64]
    scales: NDArray[np.float64]


def filled_convolution(
    layer: str,
    weights: Weights,
    bias: NDArray[np.float64],
    source_scale: float,
    window: Window,
    groups: int,
    clamp: Clamp = NO_CLAMP,
) -> Convolution:
    """The convolution with its weights split into int8 and offsets, its bias as integers."""
    scales, integers = _bias(layer, weights, bias, source_scale)
    values, offsets = _split(layer, _without_dead_channels(weights))
    ternary = groups == 1 and values.size >= TERNARY_FROM and not np.any(np.abs(values) > 1)
    return Convolution(
        window=window,
        out_channels=len(values),
        groups=groups,
        weights=values,
        weight_scales=scales,
        bias=integers,
        clamp=clamp,
        weight_offsets=offsets,
        ternary=ternary,
        shared_scale=ternary and bool(np.all(scales == scales[0])),
    )


def _without_dead_channels(weights: Weights) -> NDArray[np.int64]:
    """The integers, zero in channels whose scale is zero."""
    alive = np.broadcast_to(weights.scales > 0, (len(weights.integers),))
    return weights.integers * alive.reshape(-1, *([1] * (weights.integers.ndim - 1)))


def _split(
    layer: str, integers: NDArray[np.int64]
) -> tuple[NDArray[np.int8], NDArray[np.int32] | None]:
    """Integers as int8 and, where they do not fit, an offset for each output channel."""
    flat = integers.reshape(len(integers), -1)
    low, high = flat.min(axis=1), flat.max(axis=1)
    if np.any(high - low > _WEIGHT_SPAN):
        raise UnsupportedModelError(
            f"layer {layer} has weights wider than 8 bits. Quantise its weights to int8."
        )
    offsets = np.maximum(high - _INT8.max, 0) + np.minimum(low - _INT8.min, 0)
    shape = (-1, *([1] * (integers.ndim - 1)))
    values = np.ascontiguousarray((integers - offsets.reshape(shape)).astype(np.int8))
    return values, offsets.astype(np.int32) if np.any(offsets) else None


def _bias(
    layer: str, weights: Weights, bias: NDArray[np.float64], source_scale: float
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Scales of the weights and the bias in steps of input scale x weight scale.

    A channel whose weights are all zero may have any scale; it gets one that its bias fits.
    """
    scales = np.broadcast_to(weights.scales, (len(weights.integers),)).astype(np.float64)
    if not np.all(np.isfinite(scales) & (scales >= 0)) or not np.all(np.isfinite(bias)):
        raise UnsupportedModelError(
            f"layer {layer} has scales or biases that are not finite. Quantise the model again."
        )
    dead = (scales == 0) | ~np.any(weights.integers.reshape(len(scales), -1), axis=1)
    fitting = np.maximum(np.abs(bias), source_scale) / source_scale * 2.0**-_DEAD_CHANNEL_BITS
    scales = np.where(dead, fitting, scales)
    steps = np.rint(bias / (source_scale * scales))
    if np.any(np.abs(steps) > _INT32.max):
        raise UnsupportedModelError(
            f"layer {layer} has a bias that does not fit 32 bits. Quantise the model again."
        )
    return scales, steps.astype(np.int32)

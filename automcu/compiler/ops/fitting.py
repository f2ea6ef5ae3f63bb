"""Channels of a convolution whose accumulators would leave 32 bits.

They are those whose weights have all but vanished. Their scale is tiny, so their bias, an integer
in that scale, is huge beside whatever the weights add; or the weights are all zero and the scale
means nothing. Both come from dead or pruned channels, and must not decide for all the others.
"""

import numpy as np
from numpy.typing import NDArray

_INPUT_SPAN = 256  # no value minus its zero point is larger, nor both when they are kept apart
_FITTING_BITS = 30  # one less than there are, for what rounding adds
_OUT_OF_RANGE = 512  # any result of this magnitude saturates, whatever the zero point
_CONSTANT_RATIO = 0.25
_TINY_RATIO = 2.0**-40  # no 32 bits of bias make a step of it


def saturating_bias(
    bias: NDArray[np.int64], magnitudes: NDArray[np.int64], ratios: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Biases no larger than what saturates the result whatever the weights add.

    `magnitudes` [out] are the sums of the weights' magnitudes.
    """
    enough = np.ceil(_OUT_OF_RANGE / np.maximum(ratios, _TINY_RATIO))
    limits = magnitudes * _INPUT_SPAN + enough.astype(np.int64)
    return np.asarray(np.clip(bias, -limits, limits))


def fit_channels(
    weights: NDArray[np.int8],
    bias: NDArray[np.int64],
    ratios: NDArray[np.float64],
    step: int = 1,
) -> tuple[NDArray[np.int8], NDArray[np.int64], NDArray[np.float64]]:
    """Weights [out, ...], bias [out] and ratios [out] of the same layer that stay within 32 bits.

    A channel without weights gets a ratio like any other's and the bias that gives its constant.
    One that is too large is divided by the power of two that makes it fit, and its ratio grows by
    it. Weights that are multiples of `step` stay so.
    """
    constant = ~weights.reshape(len(weights), -1).any(axis=1)
    results = np.clip(np.rint(bias * ratios), -_OUT_OF_RANGE, _OUT_OF_RANGE)
    bias = np.where(constant, results / _CONSTANT_RATIO, bias).astype(np.int64)
    ratios = np.where(constant, _CONSTANT_RATIO, ratios)
    magnitudes = np.abs(weights.astype(np.int64)).reshape(len(weights), -1).sum(axis=1)
    sizes = (np.abs(bias) + magnitudes * _INPUT_SPAN).astype(np.float64)
    too_large = sizes >= 2.0 ** (_FITTING_BITS + 1)
    if not too_large.any():
        return weights, bias, ratios
    excess = np.ceil(np.log2(np.maximum(sizes, 1.0))) - _FITTING_BITS
    divisors = np.where(too_large, 2.0**excess, 1.0)
    per_weight = divisors.reshape(-1, *[1] * (weights.ndim - 1))
    return (
        (np.rint(weights / (per_weight * step)) * step).astype(np.int8),
        np.rint(bias / divisors).astype(np.int64),
        ratios * divisors,
    )

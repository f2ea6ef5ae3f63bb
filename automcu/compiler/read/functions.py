"""Real functions of one value that both file formats know, float64 in and out."""

from math import erf, sqrt

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]


def sigmoid(x: Reals) -> Reals:
    """1 / (1 + exp(-x))."""
    return np.asarray(1 / (1 + np.exp(-x)))


def hard_sigmoid(x: Reals, slope: float = 1 / 6, offset: float = 0.5) -> Reals:
    """A line clamped to 0 .. 1."""
    return np.asarray(np.clip(slope * x + offset, 0, 1))


def error_function(x: Reals) -> Reals:
    """The Gauss error function."""
    return np.array([erf(value) for value in x])


def gelu(x: Reals, approximate: bool) -> Reals:
    """The Gaussian error linear unit, exact or by tanh (Hendrycks and Gimpel, 2016)."""
    if approximate:
        return np.asarray(x / 2 * (1 + np.tanh(sqrt(2 / np.pi) * (x + 0.044715 * x**3))))
    return np.asarray(x / 2 * (1 + error_function(x / sqrt(2))))


def elu(x: Reals, alpha: float = 1.0) -> Reals:
    """x where it is positive, alpha (exp(x) - 1) elsewhere."""
    return np.asarray(np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))))


def leaky_relu(x: Reals, slope: float) -> Reals:
    """x where it is positive, slope x elsewhere."""
    return np.asarray(np.where(x < 0, slope * x, x))

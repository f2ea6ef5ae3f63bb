"""C initialisers of the parameter records in firmware/kernels/parameters.h."""

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.fixed_point import AddScaling, Requantisation


def requantisation_fields(scaling: Requantisation) -> str:
    """Initialiser of a `requantisation`."""
    return (
        f"{{.left_shift = {scaling.left_shift}, .zero_point = {scaling.zero_point}, "
        f".minimum = {scaling.minimum}, .maximum = {scaling.maximum}}}"
    )


def add_fields(scaling: AddScaling) -> dict[str, str]:
    """Fields of an `add_scaling`, or of a `wide_add_scaling`."""
    return {
        "multiplier_a": str(scaling.multiplier_a),
        "multiplier_b": str(scaling.multiplier_b),
        "offset": f"{scaling.offset}LL" if scaling.wide else str(scaling.offset),
        "shift": str(scaling.shift),
        "minimum": str(scaling.minimum),
        "maximum": str(scaling.maximum),
    }


def initialiser(fields: dict[str, str]) -> str:
    """A C initialiser with named fields."""
    return "{" + ", ".join(f".{name} = {value}" for name, value in fields.items()) + "}"


def interleave(bias: NDArray[np.int32], multipliers: NDArray[np.int32]) -> NDArray[np.int32]:
    """Bias and multiplier of each channel side by side: `channel_constants`."""
    return np.stack([bias, np.broadcast_to(multipliers, bias.shape)], axis=1).reshape(-1)

"""A sum with an int8 tensor of the model, such as the embedding of positions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automcu.compiler import fixed_point
from automcu.compiler.fixed_point import AddScaling
from automcu.compiler.operators.definition import Definition, Values, first_shape
from automcu.compiler.tensor import Quantisation, Shape

_LARGEST = 127


@dataclass(frozen=True, eq=False)
class AddConstant:
    """`values` are int8 [height, width, channels], symmetric; None in a graph only costed."""

    values: NDArray[np.int8] | None
    scale: float


@dataclass(frozen=True)
class AddConstantIntegers:
    """The second operand of an addition, and its scaling."""

    values: NDArray[np.int8]
    scaling: AddScaling


def rounded_constant(real: NDArray[np.float64]) -> AddConstant:
    """The operator for real values [height, width, channels]."""
    scale = float(np.abs(real).max()) / _LARGEST or 1.0
    return AddConstant(np.rint(real / scale).astype(np.int8), scale)


def _title(attributes: AddConstant, shape: Shape) -> str:
    return "add constants"


def _lower(
    attributes: AddConstant, sources: tuple[Quantisation, ...], result: Quantisation
) -> AddConstantIntegers:
    if attributes.values is None:
        raise ValueError("a sum without values can be costed but not lowered")
    (source,) = sources
    scaling = fixed_point.add_scaling(
        source.scale / result.scale,
        attributes.scale / result.scale,
        (source.zero_point, 0, result.zero_point),
    )
    return AddConstantIntegers(attributes.values, scaling)


def _reference(
    inputs: tuple[Values, ...], attributes: AddConstant, integers: AddConstantIntegers
) -> Values:
    other = np.broadcast_to(integers.values, inputs[0].shape)
    return fixed_point.add(inputs[0], other, integers.scaling)


DEFINITION = Definition(title=_title, output_shape=first_shape, lower=_lower, reference=_reference)

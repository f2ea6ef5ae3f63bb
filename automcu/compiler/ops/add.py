"""Sum of two tensors of one shape, each on its own scale."""

from dataclasses import dataclass

from automcu.compiler import fixed_point
from automcu.compiler.fixed_point import AddScaling
from automcu.compiler.ops.clamp import NO_CLAMP, Clamp, integer_limits
from automcu.compiler.ops.definition import Definition, Values, first_shape
from automcu.compiler.tensor import Quantisation, Shape


@dataclass(frozen=True)
class Add:
    """`sign` -1 subtracts the second operand."""

    clamp: Clamp = NO_CLAMP
    sign: int = 1


def is_wide(first: Quantisation, second: Quantisation, result: Quantisation) -> bool:
    """Whether the sum takes multipliers of more than 16 bits, which only one kernel has."""
    return fixed_point.needs_wide_sum(max(first.scale, second.scale) / result.scale)


def _title(attributes: Add, shape: Shape) -> str:
    return "add" if attributes.sign > 0 else "subtract"


def _lower(attributes: Add, sources: tuple[Quantisation, ...], result: Quantisation) -> AddScaling:
    first, second = sources
    return fixed_point.add_scaling(
        first.scale / result.scale,
        attributes.sign * second.scale / result.scale,
        (first.zero_point, second.zero_point, result.zero_point),
        *integer_limits(attributes.clamp, result.scale, result.zero_point),
    )


def _reference(inputs: tuple[Values, ...], attributes: Add, integers: AddScaling) -> Values:
    return fixed_point.add(inputs[0], inputs[1], integers)


DEFINITION = Definition(title=_title, output_shape=first_shape, lower=_lower, reference=_reference)

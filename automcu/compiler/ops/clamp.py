"""Real clamps such as ReLU, expressed in a tensor's integers."""

from math import inf

from automcu.compiler.fixed_point import INT8_MAX, INT8_MIN

Clamp = tuple[float, float]
NO_CLAMP: Clamp = (-inf, inf)


def integer_limits(clamp: Clamp, scale: float, zero_point: int) -> tuple[int, int]:
    """The int8 range to which `clamp` restricts a tensor of this quantisation."""
    low, high = (bound / scale + zero_point for bound in clamp)
    minimum = INT8_MIN if low <= INT8_MIN else min(round(low), INT8_MAX)
    maximum = INT8_MAX if high >= INT8_MAX else max(round(high), INT8_MIN)
    return minimum, maximum


def intersect(first: Clamp, second: Clamp) -> Clamp:
    """The clamp that has the effect of `first` followed by `second`."""
    low = min(max(first[0], second[0]), second[1])
    high = max(min(first[1], second[1]), second[0])
    return low, high

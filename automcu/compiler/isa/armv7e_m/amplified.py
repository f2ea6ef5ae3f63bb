"""Requantisation on armv7e-m where some channels amplify, without a branch.

A multiplier m becomes two, max(m, 0) and min(m, 0), one of which is 0. The accumulator meets the
first as it is; the second saturated and shifted, in a product that is subtracted.
"""

from collections.abc import Iterator

from automcu.compiler.fixed_point import AMPLIFIED_BITS, AMPLIFIED_SHIFT


def split_multiplier(multiplier: str, plain: str, amplified: str) -> Iterator[str]:
    """The two multipliers of one; `plain` may be the register that it is in."""
    yield f"and {amplified}, {multiplier}, {multiplier}, asr #31"
    yield f"bic {plain}, {multiplier}, {multiplier}, asr #31"


def requantise_amplified(
    value: str, scratch: str, plain: str, amplified: str, zero_point: str
) -> Iterator[str]:
    """An accumulator becomes a result that is still to be saturated."""
    yield f"ssat {scratch}, #{AMPLIFIED_BITS}, {value}"
    yield f"lsl {scratch}, {scratch}, #{AMPLIFIED_SHIFT}"
    yield f"smmlar {value}, {value}, {plain}, {zero_point}"
    yield f"smmlsr {value}, {scratch}, {amplified}, {value}"

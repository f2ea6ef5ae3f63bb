"""Any function of one int8 value, as a table of its 256 results: sigmoid, tanh, hard-swish, ..."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.fixed_point import INT8_MAX, INT8_MIN
from automcu.compiler.ops.definition import Definition, Values, first_shape
from automcu.compiler.tensor import Quantisation, Shape

ALL_INPUTS: NDArray[np.int64] = np.arange(INT8_MIN, INT8_MAX + 1)
ALL_INPUTS.setflags(write=False)


@dataclass(frozen=True, eq=False)
class Lookup:
    """`table`, int8 [256], holds the results for -128 to 127; None in a graph only costed.

    It is made for the quantisations of the tensors it stands between (see `quantised_table`).
    """

    name: str
    table: NDArray[np.int8] | None


def real_inputs(quantisation: Quantisation) -> NDArray[np.float64]:
    """The 256 real values that a tensor of this quantisation can hold, ascending."""
    steps = (ALL_INPUTS - quantisation.zero_point).astype(np.float64)
    return steps * np.float64(quantisation.scale)


def quantised_table(values: NDArray[np.float64], result: Quantisation) -> NDArray[np.int8]:
    """The table for 256 real results: each rounded to the nearest (halves to even) and clamped."""
    nearest = np.rint(np.nan_to_num(values / result.scale, posinf=1e9, neginf=-1e9))
    return np.asarray(np.clip(nearest + result.zero_point, INT8_MIN, INT8_MAX), np.int8)


def table_of(
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    source: Quantisation,
    result: Quantisation,
) -> NDArray[np.int8]:
    """The table of a real function between two quantised tensors."""
    return quantised_table(function(real_inputs(source)), result)


def _title(attributes: Lookup, shape: Shape) -> str:
    return attributes.name


def _lower(
    attributes: Lookup, sources: tuple[Quantisation, ...], result: Quantisation
) -> NDArray[np.int8]:
    if attributes.table is None:
        raise ValueError("a table without values can be costed but not lowered")
    return attributes.table


def _reference(
    inputs: tuple[Values, ...], attributes: Lookup, integers: NDArray[np.int8]
) -> Values:
    return np.asarray(integers[inputs[0].astype(np.int64) - INT8_MIN])


DEFINITION = Definition(title=_title, output_shape=first_shape, lower=_lower, reference=_reference)

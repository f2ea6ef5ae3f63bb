"""Any function of one int8 value, as a table of its 256 results: sigmoid, tanh, hard-swish, ..."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.fixed_point import INT8_MAX, INT8_MIN
from automcu.compiler.graph import Attributes
from automcu.compiler.kernel import ArrayShape, Kernel, LayerConstants, Parameters
from automcu.compiler.tensor import Quantisation, Shape, Tensor, Values
from automcu.compiler.window import POINTWISE, Window

ALL_INPUTS: NDArray[np.int64] = np.arange(INT8_MIN, INT8_MAX + 1)
ALL_INPUTS.setflags(write=False)
_UNROLLED = 8

PARAMETERS = Parameters("lookup_parameters", {"table": "const int8_t *"}, order=5)


@dataclass(frozen=True, eq=False)
class Lookup(Attributes):
    """`table`, int8 [256], holds the results for -128 to 127; None in a graph only costed.

    It is made for the quantisations of the tensors it stands between (see `quantised_table`).
    """

    name: str
    table: NDArray[np.int8] | None

    is_elementwise: ClassVar[bool] = True

    def title(self, source: Shape) -> str:
        return self.name

    def with_random_weights(
        self, source: Shape, result: Shape, scale: float, generator: np.random.Generator
    ) -> "Lookup":
        return replace(self, table=generator.integers(-128, 128, 256, dtype=np.int8))

    def lower(self, sources: tuple[Quantisation, ...], result: Quantisation) -> NDArray[np.int8]:
        if self.table is None:
            raise ValueError("a table without values can be costed but not lowered")
        return self.table

    def reference(self, inputs: tuple[Values, ...], integers: NDArray[np.int8]) -> Values:
        return np.asarray(integers[inputs[0].astype(np.int64) - INT8_MIN])

    def kernel(self, inputs: tuple[Tensor, ...], output: Tensor) -> Kernel:
        elements = output.size
        return Kernel(
            cost_key="portable-lookup",
            function=f"lookup_{elements}",
            template=Path(__file__).with_name("lookup.c.j2"),
            settings={"elements": elements},
            parameters=PARAMETERS,
            arrays=(ArrayShape("table", "int8_t", ALL_INPUTS.size),),
            pack=_pack,
            overwrites=(0,),
            # Compilers look up eight at a time where none are left over.
            work={"outputs" if elements % _UNROLLED else "outputs_unrolled": elements},
        )

    @property
    def row_window(self) -> Window:
        """Pixel by pixel."""
        return POINTWISE


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


def _pack(table: NDArray[np.int8]) -> LayerConstants:
    # A kernel looks up the byte as an unsigned number: 0 to 127, then -128 to -1.
    return LayerConstants({"table": np.roll(table, ALL_INPUTS.size // 2)}, {})

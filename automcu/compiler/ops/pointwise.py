"""Operators on one int8 value at a time: another scale or clamp, or any function as a table."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from automcu.compiler import fixed_point
from automcu.compiler.fixed_point import INT8_MAX, INT8_MIN, Requantisation
from automcu.compiler.graph import Attributes
from automcu.compiler.kernel import REQUANTISATION, ArrayShape, Kernel, LayerConstants, Parameters
from automcu.compiler.tensor import (
    NO_CLAMP,
    POINTWISE,
    Clamp,
    Quantisation,
    Shape,
    Tensor,
    Values,
    Window,
    integer_limits,
    intersect,
    is_idle,
)

# Far above any int8 value minus its zero point: a left shift then stays below 15, and a kernel can
# multiply by its power of two in 16 bits. A ratio that asks for more saturates any but 0.
_ACCUMULATOR_BOUND = 1 << 16

RESCALE_PARAMETERS = Parameters(
    "rescale_parameters",
    {"input_zero_point": "int32_t", "multiplier": "int32_t", "scaling": REQUANTISATION},
    order=3,
)


@dataclass(frozen=True)
class RescaleIntegers:
    """Each value minus `input_zero_point` is an accumulator."""

    scaling: Requantisation
    input_zero_point: int


@dataclass(frozen=True)
class Rescale(Attributes):
    """Element by element; `clamp` is real."""

    clamp: Clamp = NO_CLAMP

    is_elementwise: ClassVar[bool] = True

    def title(self, source: Shape) -> str:
        return "rescale"

    def lower(self, sources: tuple[Quantisation, ...], result: Quantisation) -> RescaleIntegers:
        (source,) = sources
        scaling = fixed_point.requantisation(
            np.array([source.scale / result.scale]),
            _ACCUMULATOR_BOUND,
            result.zero_point,
            *integer_limits(self.clamp, result.scale, result.zero_point),
        )
        return RescaleIntegers(scaling, source.zero_point)

    def reference(self, inputs: tuple[Values, ...], integers: RescaleIntegers) -> Values:
        return fixed_point.requantise(
            inputs[0].astype(np.int64) - integers.input_zero_point, integers.scaling
        )

    def kernel(self, inputs: tuple[Tensor, ...], output: Tensor) -> Kernel:
        return Kernel(
            cost_key="portable-rescale",
            function=f"rescale_{output.size}",
            template=Path(__file__).with_name("rescale.c.j2"),
            settings={"elements": output.size},
            parameters=RESCALE_PARAMETERS,
            pack=_pack_rescale,
            overwrites=(0,),
            work={"outputs": output.size},
        )

    def with_clamp(self, clamp: Clamp) -> "Rescale":
        return replace(self, clamp=intersect(self.clamp, clamp))

    def without_idle_clamp(self, result: Quantisation) -> "Rescale":
        return replace(self, clamp=NO_CLAMP) if is_idle(self.clamp, result) else self

    @property
    def row_window(self) -> Window:
        """Pixel by pixel."""
        return POINTWISE


def _pack_rescale(integers: RescaleIntegers) -> LayerConstants:
    constants = RESCALE_PARAMETERS.constants(
        {
            "input_zero_point": integers.input_zero_point,
            "multiplier": int(integers.scaling.multipliers[0]),
            "scaling": integers.scaling,
        }
    )
    return LayerConstants({}, constants)


ALL_INPUTS: NDArray[np.int64] = np.arange(INT8_MIN, INT8_MAX + 1)
ALL_INPUTS.setflags(write=False)
_UNROLLED = 8

LOOKUP_PARAMETERS = Parameters("lookup_parameters", {"table": "const int8_t *"}, order=5)


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
            parameters=LOOKUP_PARAMETERS,
            arrays=(ArrayShape("table", "int8_t", ALL_INPUTS.size),),
            pack=_pack_lookup,
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


def _pack_lookup(table: NDArray[np.int8]) -> LayerConstants:
    # A kernel looks up the byte as an unsigned number: 0 to 127, then -128 to -1.
    return LayerConstants({"table": np.roll(table, ALL_INPUTS.size // 2)}, {})

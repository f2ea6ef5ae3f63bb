"""The same values on another scale, perhaps clamped: a ReLU that stands alone, a requantisation."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from automcu.compiler import fixed_point
from automcu.compiler.fixed_point import Requantisation
from automcu.compiler.graph import Attributes
from automcu.compiler.kernel import REQUANTISATION, Kernel, LayerConstants, Parameters
from automcu.compiler.tensor import (
    NO_CLAMP,
    Clamp,
    Quantisation,
    Shape,
    Tensor,
    Values,
    integer_limits,
    intersect,
    is_idle,
)
from automcu.compiler.window import POINTWISE, Window

# Far above any int8 value minus its zero point: a left shift then stays below 15, and a kernel can
# multiply by its power of two in 16 bits. A ratio that asks for more saturates any but 0.
_ACCUMULATOR_BOUND = 1 << 16

PARAMETERS = Parameters(
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
            parameters=PARAMETERS,
            pack=_pack,
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


def _pack(integers: RescaleIntegers) -> LayerConstants:
    constants = PARAMETERS.constants(
        {
            "input_zero_point": integers.input_zero_point,
            "multiplier": int(integers.scaling.multipliers[0]),
            "scaling": integers.scaling,
        }
    )
    return LayerConstants({}, constants)

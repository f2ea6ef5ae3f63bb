"""Product of two tensors; the second may be one pixel or one channel that serves for all."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from automcu.compiler import fixed_point
from automcu.compiler.fixed_point import Requantisation
from automcu.compiler.graph import Attributes
from automcu.compiler.kernel import REQUANTISATION, Kernel, LayerConstants, Parameters, cost_key
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

_INPUT_SPAN = 255  # the largest magnitude of an int8 value minus its zero point
_KINDS = {(0, 0): "by_one_", (0, 1): "by_pixel_", (1, 0): "by_channel_"}

PARAMETERS = Parameters(
    "multiply_parameters",
    {
        "first_zero_point": "int32_t",
        "second_zero_point": "int32_t",
        "multiplier": "int32_t",
        "scaling": REQUANTISATION,
    },
    order=4,
)


@dataclass(frozen=True)
class MultiplyIntegers:
    """An accumulator is (a - first_zero_point) * (b - second_zero_point)."""

    scaling: Requantisation
    first_zero_point: int
    second_zero_point: int


@dataclass(frozen=True)
class Multiply(Attributes):
    """The second operand is of the same shape, or (1, 1, channels), (height, width, 1), or 1."""

    clamp: Clamp = NO_CLAMP

    is_elementwise: ClassVar[bool] = True

    def title(self, source: Shape) -> str:
        return "multiply"

    def output_shape(self, *sources: Shape) -> Shape:
        first, second = sources
        if not is_broadcastable(first, second):
            raise ValueError(f"{second} cannot be broadcast to {first}")
        return first

    def lower(self, sources: tuple[Quantisation, ...], result: Quantisation) -> MultiplyIntegers:
        first, second = sources
        scaling = fixed_point.requantisation(
            np.array([first.scale * second.scale / result.scale]),
            _INPUT_SPAN**2,
            result.zero_point,
            *integer_limits(self.clamp, result.scale, result.zero_point),
        )
        return MultiplyIntegers(scaling, first.zero_point, second.zero_point)

    def reference(self, inputs: tuple[Values, ...], integers: MultiplyIntegers) -> Values:
        first = inputs[0].astype(np.int64) - integers.first_zero_point
        second = inputs[1].astype(np.int64) - integers.second_zero_point
        return fixed_point.requantise(first * second, integers.scaling)

    def kernel(self, inputs: tuple[Tensor, ...], output: Tensor) -> Kernel:
        first, second = (tensor.shape for tensor in inputs)
        pixels, channels = first[0] * first[1], first[2]
        pixel_step, channel_step = int(second[:2] != (1, 1)), int(second[2] != 1)
        flat = first == second
        kind = "" if flat else _KINDS[pixel_step, channel_step]
        return Kernel(
            cost_key=cost_key("portable-multiply", flat=flat),
            function=f"multiply_{kind}{pixels}x{channels}",
            template=Path(__file__).with_name("multiply.c.j2"),
            settings={
                "pixels": pixels,
                "channels": channels,
                "pixel_step": pixel_step,
                "channel_step": channel_step,
                "flat": flat,
            },
            parameters=PARAMETERS,
            pack=_pack,
            overwrites=(0, 1) if flat else (0,),
            work={"outputs": pixels * channels} | ({} if flat else {"pixels": pixels}),
            code={}
            if flat
            else {"steps": pixel_step + channel_step, "pixel_loops": int(pixels > 1)},
        )

    def with_clamp(self, clamp: Clamp) -> "Multiply":
        return replace(self, clamp=intersect(self.clamp, clamp))

    def without_idle_clamp(self, result: Quantisation) -> "Multiply":
        return replace(self, clamp=NO_CLAMP) if is_idle(self.clamp, result) else self


def is_broadcastable(first: Shape, second: Shape) -> bool:
    """Whether `second` may be the second operand of a product of shape `first`."""
    return second[:2] in (first[:2], (1, 1)) and second[2] in (first[2], 1)


def _pack(integers: MultiplyIntegers) -> LayerConstants:
    constants = PARAMETERS.constants(
        {
            "first_zero_point": integers.first_zero_point,
            "second_zero_point": integers.second_zero_point,
            "multiplier": int(integers.scaling.multipliers[0]),
            "scaling": integers.scaling,
        }
    )
    return LayerConstants({}, constants)

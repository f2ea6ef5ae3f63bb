"""Sum and product of two tensors, or of a tensor and the model's constants.

Constants are, for instance, the embedding of positions.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from automcu.compiler import fixed_point
from automcu.compiler.fixed_point import AddScaling, Requantisation
from automcu.compiler.graph import Attributes
from automcu.compiler.kernel import (
    ADD_SCALING,
    REQUANTISATION,
    WIDE_ADD_SCALING,
    ArrayShape,
    Field,
    Kernel,
    LayerConstants,
    Parameters,
    aligned,
    cost_key,
)
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

_LARGEST = 127
# Steps of the result that int8 constants may be apart, which is twice what rounding them costs ...
_LARGEST_STEP = 0.75
# ... and that one step of the input may be, as long as 16 bits of multipliers are enough.
_LARGEST_NARROW_RATIO = 8.0
_INPUT_SPAN = 255  # the largest magnitude of an int8 value minus its zero point
_OUT_OF_RANGE = 512  # any result of this magnitude saturates, whatever the zero point
_SHIFT_LIMIT = 22
_RATIO_LIMIT = 1 << 13  # at a shift of 9, which leaves a quarter of a step to rounding
_INT32_BYTES = 4

CONSTANT_PARAMETERS = Parameters(
    "add_constant_parameters", {"values": "const int8_t *", "scaling": ADD_SCALING}, order=7
)
WIDE_CONSTANT_PARAMETERS = Parameters(
    "wide_add_constant_parameters",
    {
        "values": Field("const int32_t *", "in the sum's own steps: multiplier_b is 1"),
        "scaling": ADD_SCALING,
    },
    order=8,
)
# The same, written with an offset of a long constant: where multipliers take more than 16 bits.
_LONG_SCALING = replace(ADD_SCALING, fields={**ADD_SCALING.fields, "offset": "int64_t"})
_LONG_CONSTANT_PARAMETERS = replace(
    WIDE_CONSTANT_PARAMETERS, fields={**WIDE_CONSTANT_PARAMETERS.fields, "scaling": _LONG_SCALING}
)


@dataclass(frozen=True)
class Add(Attributes):
    """`sign` -1 subtracts the second operand."""

    clamp: Clamp = NO_CLAMP
    sign: int = 1

    is_elementwise: ClassVar[bool] = True

    def title(self, source: Shape) -> str:
        return "add" if self.sign > 0 else "subtract"

    def lower(self, sources: tuple[Quantisation, ...], result: Quantisation) -> AddScaling:
        first, second = sources
        return fixed_point.add_scaling(
            first.scale / result.scale,
            self.sign * second.scale / result.scale,
            (first.zero_point, second.zero_point, result.zero_point),
            *integer_limits(self.clamp, result.scale, result.zero_point),
        )

    def reference(self, inputs: tuple[Values, ...], integers: AddScaling) -> Values:
        return fixed_point.add(inputs[0], inputs[1], integers)

    def kernel(self, inputs: tuple[Tensor, ...], output: Tensor) -> Kernel:
        """One loop; it may write over either input."""
        wide = is_wide_sum(inputs, output)
        parameters = WIDE_ADD_SCALING if wide else ADD_SCALING
        return Kernel(
            cost_key=cost_key("portable-add", wide_sum=wide),
            function=f"add_{output.size}" + ("_wide" if wide else ""),
            template=Path(__file__).with_name("add.c.j2"),
            settings={"elements": output.size, "wide_sum": wide},
            parameters=parameters,
            pack=partial(_pack_sum, parameters),
            overwrites=(0, 1),
            work={"outputs": output.size},
        )

    def with_clamp(self, clamp: Clamp) -> "Add":
        return replace(self, clamp=intersect(self.clamp, clamp))

    def without_idle_clamp(self, result: Quantisation) -> "Add":
        return replace(self, clamp=NO_CLAMP) if is_idle(self.clamp, result) else self


def is_wide_sum(inputs: tuple[Tensor, ...], output: Tensor) -> bool:
    """Whether an addition's multipliers take more than 16 bits, which only one kernel has.

    Unknown scales are taken for no.
    """
    first, second, result = (tensor.quantisation for tensor in (*inputs, output))
    if first is None or second is None or result is None:
        return False
    return fixed_point.needs_wide_sum(max(first.scale, second.scale) / result.scale)


def _pack_sum(parameters: Parameters, integers: AddScaling) -> LayerConstants:
    return LayerConstants({}, parameters.constants_of(integers))


@dataclass(frozen=True)
class AddConstantIntegers:
    """The second operand of an addition, and its scaling.

    `values` are int8; or int32 in the steps of the sum before it is shifted right.
    """

    values: NDArray[np.int8] | NDArray[np.int32]
    scaling: AddScaling


@dataclass(frozen=True, eq=False)
class AddConstant(Attributes):
    """`values` are real [height, width, channels]; None in a graph only costed."""

    values: NDArray[np.float64] | None
    clamp: Clamp = NO_CLAMP

    def title(self, source: Shape) -> str:
        return "add constants"

    def with_random_weights(
        self, source: Shape, result: Shape, scale: float, generator: np.random.Generator
    ) -> "AddConstant":
        return AddConstant(generator.uniform(-64, 64, result) * scale)

    def lower(self, sources: tuple[Quantisation, ...], result: Quantisation) -> AddConstantIntegers:
        if self.values is None:
            raise ValueError("a sum without values can be costed but not lowered")
        (source,) = sources
        limits = integer_limits(self.clamp, result.scale, result.zero_point)
        if self._needs_wide_values(source, result):
            return _wide(self.values, source, result, limits)
        scale = _scale(self.values)
        scaling = fixed_point.add_scaling(
            source.scale / result.scale,
            scale / result.scale,
            (source.zero_point, 0, result.zero_point),
            *limits,
        )
        return AddConstantIntegers(np.rint(self.values / scale).astype(np.int8), scaling)

    def reference(self, inputs: tuple[Values, ...], integers: AddConstantIntegers) -> Values:
        return fixed_point.add(inputs[0], integers.values, integers.scaling)

    def kernel(self, inputs: tuple[Tensor, ...], output: Tensor) -> Kernel:
        """One loop; it may write over its input."""
        source, result = inputs[0].quantisation, output.quantisation
        wide = bool(source and result and self._needs_wide_values(source, result))
        values = (
            ArrayShape("values", "int32_t", _INT32_BYTES * output.size)
            if wide
            else ArrayShape("values", "int8_t", aligned(output.size))
        )
        return Kernel(
            cost_key=cost_key("portable-add_constant", wide_values=wide),
            function=f"add_constant_{output.size}" + ("_wide" if wide else ""),
            template=Path(__file__).with_name("add_constant.c.j2"),
            settings={"elements": output.size, "wide_values": wide},
            parameters=WIDE_CONSTANT_PARAMETERS if wide else CONSTANT_PARAMETERS,
            arrays=(values,),
            pack=_pack_constant,
            overwrites=(0,),
            work={"outputs": output.size},
        )

    def with_clamp(self, clamp: Clamp) -> "AddConstant":
        return replace(self, clamp=intersect(self.clamp, clamp))

    def without_idle_clamp(self, result: Quantisation) -> "AddConstant":
        return replace(self, clamp=NO_CLAMP) if is_idle(self.clamp, result) else self

    def _needs_wide_values(self, source: Quantisation, result: Quantisation) -> bool:
        """Whether one scale for all constants in int8 would be too coarse; no without values."""
        if self.values is None:
            return False
        return (
            _scale(self.values) / result.scale > _LARGEST_STEP
            or source.scale / result.scale >= _LARGEST_NARROW_RATIO
        )


def _scale(values: NDArray[np.float64]) -> float:
    return float(np.abs(values).max()) / _LARGEST or 1.0


def _wide(
    values: NDArray[np.float64],
    source: Quantisation,
    result: Quantisation,
    limits: tuple[int, int],
) -> AddConstantIntegers:
    """Constants beyond all that the input can make up for are cut to where they saturate."""
    ratio = source.scale / result.scale
    terms = values / result.scale
    if ratio > _RATIO_LIMIT:
        terms, ratio = terms * (_RATIO_LIMIT / ratio), float(_RATIO_LIMIT)
    reach = _INPUT_SPAN * ratio + _OUT_OF_RANGE
    largest = reach + _INPUT_SPAN * ratio + _INPUT_SPAN
    shift = min(_SHIFT_LIMIT, int(np.floor(np.log2(fixed_point.INT32_MAX / largest))))
    multiplier = round(ratio * (1 << shift))
    offset = (result.zero_point << shift) + (1 << (shift - 1)) - source.zero_point * multiplier
    rounded = np.rint(np.clip(terms, -reach, reach) * (1 << shift)).astype(np.int32)
    scaling = AddScaling(multiplier, 1, offset, shift, *limits)
    return AddConstantIntegers(rounded, scaling)


def _pack_constant(integers: AddConstantIntegers) -> LayerConstants:
    parameters = _LONG_CONSTANT_PARAMETERS if integers.scaling.wide else CONSTANT_PARAMETERS
    return LayerConstants(
        {"values": integers.values.reshape(-1)}, parameters.constants({"scaling": integers.scaling})
    )


_KINDS = {(0, 0): "by_one_", (0, 1): "by_pixel_", (1, 0): "by_channel_"}

PRODUCT_PARAMETERS = Parameters(
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
            parameters=PRODUCT_PARAMETERS,
            pack=_pack_product,
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


def _pack_product(integers: MultiplyIntegers) -> LayerConstants:
    constants = PRODUCT_PARAMETERS.constants(
        {
            "first_zero_point": integers.first_zero_point,
            "second_zero_point": integers.second_zero_point,
            "multiplier": int(integers.scaling.multipliers[0]),
            "scaling": integers.scaling,
        }
    )
    return LayerConstants({}, constants)

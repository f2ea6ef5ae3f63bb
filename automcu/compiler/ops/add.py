"""Sum of two tensors of one shape, each on its own scale."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from automcu.compiler import fixed_point
from automcu.compiler.fixed_point import AddScaling
from automcu.compiler.graph import Attributes
from automcu.compiler.kernel import (
    ADD_SCALING,
    WIDE_ADD_SCALING,
    Kernel,
    LayerConstants,
    Parameters,
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
            isa="portable",
            variant="portable",
            cost_key=cost_key("portable-add", wide_sum=wide),
            function=f"add_{output.size}" + ("_wide" if wide else ""),
            template=Path(__file__).with_name("add.c.j2"),
            settings={"elements": output.size, "wide_sum": wide},
            parameters=parameters,
            pack=partial(_pack, parameters),
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


def _pack(parameters: Parameters, integers: AddScaling) -> LayerConstants:
    return LayerConstants({}, parameters.constants_of(integers))

"""Softmax in portable C; it may write over its input."""

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernel import ArrayShape, Kernel, LayerConstants
from automcu.compiler.lowering import Integers
from automcu.compiler.ops.softmax import (
    DIFFERENCES,
    FRACTION_BITS,
    NORMALISED_BITS,
    RECIPROCAL_BITS,
    SoftmaxIntegers,
)
from automcu.compiler.parameters import requantisation_fields

_BYTES_PER_EXPONENTIAL = 4


def portable_softmax(operator: Operator, graph: Graph) -> Kernel:
    """The portable kernel of a softmax."""
    height, width, channels = graph.tensors[operator.output].shape
    pixels = height * width
    return Kernel(
        variant="portable",
        function=f"softmax_{pixels}x{channels}",
        template="softmax.c.j2",
        settings={
            "pixels": pixels,
            "channels": channels,
            "fraction_bits": FRACTION_BITS,
            "normalised_bits": NORMALISED_BITS,
            "reciprocal_bits": RECIPROCAL_BITS,
        },
        parameters_type="softmax_parameters",
        arrays=(ArrayShape("exponentials", "int32_t", _BYTES_PER_EXPONENTIAL * DIFFERENCES),),
        pack=_pack,
        overwrites=(0,),
        work={"outputs": pixels * channels, "rows": pixels},
    )


def _pack(operator: Operator, graph: Graph, integers: Integers) -> LayerConstants:
    if not isinstance(integers, SoftmaxIntegers):
        raise TypeError(f"{operator.name} is not a softmax")
    return LayerConstants(
        {"exponentials": integers.exponentials},
        {
            "multiplier": str(int(integers.scaling.multipliers[0])),
            "scaling": requantisation_fields(integers.scaling),
        },
    )

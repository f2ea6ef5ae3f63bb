"""Element by element in portable C: add, multiply, lookup, rescale. All may work in place."""

import numpy as np

from automcu.compiler import fixed_point
from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernel import ArrayShape, Kernel, LayerConstants
from automcu.compiler.lowering import Integers
from automcu.compiler.ops.add import is_wide
from automcu.compiler.ops.lookup import ALL_INPUTS
from automcu.compiler.ops.multiply import MultiplyIntegers
from automcu.compiler.ops.rescale import RescaleIntegers
from automcu.compiler.parameters import add_fields, requantisation_fields

_UNROLLED = 8


def portable_add(operator: Operator, graph: Graph) -> Kernel:
    """The portable kernel of an addition."""
    elements = graph.tensors[operator.output].size
    wide = is_wide_sum(operator, graph)
    return Kernel(
        variant="portable",
        function=f"add_{elements}" + ("_wide" if wide else ""),
        template="add.c.j2",
        settings={"elements": elements, "wide_sum": wide},
        parameters_type="wide_add_scaling" if wide else "add_scaling",
        arrays=(),
        pack=_pack_add,
        overwrites=(0, 1),
        work={"outputs": elements},
    )


def is_wide_sum(operator: Operator, graph: Graph) -> bool:
    """Whether an addition's multipliers take more than 16 bits; unknown scales are taken for no."""
    first, second, result = (
        graph.tensors[name].quantisation for name in (*operator.inputs, operator.output)
    )
    return bool(first and second and result and is_wide(first, second, result))


def portable_multiply(operator: Operator, graph: Graph) -> Kernel:
    """The portable kernel of a product; the second operand may be one pixel or one channel."""
    first, second = (graph.tensors[name].shape for name in operator.inputs)
    pixels, channels = first[0] * first[1], first[2]
    pixel_step, channel_step = int(second[:2] != (1, 1)), int(second[2] != 1)
    flat = first == second
    kinds = {(0, 0): "by_one", (0, 1): "by_pixel", (1, 0): "by_channel"}
    kind = "" if flat else kinds[pixel_step, channel_step] + "_"
    return Kernel(
        variant="portable",
        function=f"multiply_{kind}{pixels}x{channels}",
        template="multiply.c.j2",
        settings={
            "pixels": pixels,
            "channels": channels,
            "pixel_step": pixel_step,
            "channel_step": channel_step,
            "flat": flat,
        },
        parameters_type="multiply_parameters",
        arrays=(),
        pack=_pack_multiply,
        overwrites=(0, 1) if flat else (0,),
        work={"outputs": pixels * channels} | ({} if flat else {"pixels": pixels}),
        code={} if flat else {"steps": pixel_step + channel_step, "pixel_loops": int(pixels > 1)},
    )


def portable_lookup(operator: Operator, graph: Graph) -> Kernel:
    """The portable kernel of a table."""
    elements = graph.tensors[operator.output].size
    return Kernel(
        variant="portable",
        function=f"lookup_{elements}",
        template="lookup.c.j2",
        settings={"elements": elements},
        parameters_type="lookup_parameters",
        arrays=(ArrayShape("table", "int8_t", ALL_INPUTS.size),),
        pack=_pack_lookup,
        overwrites=(0,),
        # Compilers look up eight at a time where none are left over.
        work={"outputs" if elements % _UNROLLED else "outputs_unrolled": elements},
    )


def portable_rescale(operator: Operator, graph: Graph) -> Kernel:
    """The portable kernel of a change of scale."""
    elements = graph.tensors[operator.output].size
    return Kernel(
        variant="portable",
        function=f"rescale_{elements}",
        template="rescale.c.j2",
        settings={"elements": elements},
        parameters_type="rescale_parameters",
        arrays=(),
        pack=_pack_rescale,
        overwrites=(0,),
        work={"outputs": elements},
    )


def _pack_add(operator: Operator, graph: Graph, integers: Integers) -> LayerConstants:
    if not isinstance(integers, fixed_point.AddScaling):
        raise TypeError(f"{operator.name} is not an addition")
    return LayerConstants({}, add_fields(integers))


def _pack_multiply(operator: Operator, graph: Graph, integers: Integers) -> LayerConstants:
    if not isinstance(integers, MultiplyIntegers):
        raise TypeError(f"{operator.name} is not a product")
    return LayerConstants(
        {},
        {
            "first_zero_point": str(integers.first_zero_point),
            "second_zero_point": str(integers.second_zero_point),
            "multiplier": str(int(integers.scaling.multipliers[0])),
            "scaling": requantisation_fields(integers.scaling),
        },
    )


def _pack_lookup(operator: Operator, graph: Graph, integers: Integers) -> LayerConstants:
    if not isinstance(integers, np.ndarray):
        raise TypeError(f"{operator.name} is not a table")
    # A kernel looks up the byte as an unsigned number: 0 to 127, then -128 to -1.
    return LayerConstants({"table": np.roll(integers, ALL_INPUTS.size // 2)}, {})


def _pack_rescale(operator: Operator, graph: Graph, integers: Integers) -> LayerConstants:
    if not isinstance(integers, RescaleIntegers):
        raise TypeError(f"{operator.name} is not a rescaling")
    return LayerConstants(
        {},
        {
            "input_zero_point": str(integers.input_zero_point),
            "multiplier": str(int(integers.scaling.multipliers[0])),
            "scaling": requantisation_fields(integers.scaling),
        },
    )

"""Add, rescale and average pool on armv7e-m: four neighbouring values in one word.

They compute what the portable kernels compute, from the same parameters, with saturation instead
of comparisons, so that their time does not depend on the data.
"""

from dataclasses import replace

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernel import Kernel
from automcu.compiler.memory_work import window_class
from automcu.compiler.ops import Add, AveragePool, Rescale
from automcu.compiler.ops.clamp import NO_CLAMP
from automcu.compiler.ops.pool import pixel_counts
from automcu.compiler.ops.portable_elementwise import (
    is_wide_sum,
    portable_add,
    portable_rescale,
)
from automcu.compiler.ops.portable_pool import portable_average_pool
from automcu.mcu.profile import Core

_LANES = 4
_MOST_TAPS = 256  # of int8 that a 16-bit lane can sum


def armv7e_m_add(operator: Operator, graph: Graph, core: Core) -> tuple[Kernel, ...]:
    """The kernel of an addition; none where the values do not come in whole words.

    Nor where its multipliers do not fit the halves of a word.
    """
    if not isinstance(operator.attributes, Add) or is_wide_sum(operator, graph):
        return ()
    if graph.tensors[operator.output].size % _LANES:
        return ()
    return (_four_at_a_time(portable_add(operator, graph), operator.attributes),)


def armv7e_m_rescale(operator: Operator, graph: Graph, core: Core) -> tuple[Kernel, ...]:
    """The kernel of a change of scale; none where the values do not come in whole words."""
    if graph.tensors[operator.output].size % _LANES or not isinstance(operator.attributes, Rescale):
        return ()
    return (_four_at_a_time(portable_rescale(operator, graph), operator.attributes),)


def armv7e_m_average_pool(operator: Operator, graph: Graph, core: Core) -> tuple[Kernel, ...]:
    """The kernel of an average pool; none where channels do not come in whole words."""
    attributes = operator.attributes
    height, width, channels = graph.tensors[operator.inputs[0]].shape
    if (
        not isinstance(attributes, AveragePool)
        or channels % _LANES
        or attributes.window.dilation != (1, 1)
        or attributes.clamp != NO_CLAMP
        or attributes.window.height * attributes.window.width > _MOST_TAPS
    ):
        return ()
    kernel = portable_average_pool(operator, graph)
    out_height, out_width, _ = graph.tensors[operator.output].shape
    quads = channels // _LANES
    pixels = out_height * out_width
    kind = window_class(attributes.window, out_height)
    covered = int(pixel_counts(attributes.window, height, width).sum())
    special = replace(
        kernel,
        variant="armv7e-m",
        function=f"{kernel.function}_by4",
        template="armv7e_m_average_pool.c.j2",
        work={
            "pixels": pixels,
            f"words_{kind}": quads * pixels,
            f"rows_{kind}": quads * pixels * attributes.window.height,
            f"taps_{kind}": quads * covered,
        },
    )
    return (special,)


def _four_at_a_time(kernel: Kernel, attributes: Add | Rescale) -> Kernel:
    clamps = attributes.clamp != NO_CLAMP
    template = kernel.template.removesuffix(".c.j2")
    return replace(
        kernel,
        variant="armv7e-m",
        function=kernel.function + ("_clamp" if clamps else "") + "_by4",
        template=f"armv7e_m_{template}.c.j2",
        settings={**kernel.settings, "clamps": clamps},
        work={"words": kernel.work["outputs"] // _LANES},
    )

"""Average and maximum pooling in portable C."""

from dataclasses import replace

import numpy as np

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernel import (
    ArrayShape,
    Kernel,
    LayerConstants,
    no_constants,
)
from automcu.compiler.lowering import Integers
from automcu.compiler.memory_work import window_class
from automcu.compiler.ops import AveragePool, MaxPool
from automcu.compiler.ops.pool import (
    AveragePoolIntegers,
    needed_counts,
    pixel_counts,
)
from automcu.compiler.ops.windows import Window
from automcu.compiler.parameters import requantisation_fields

_BYTES_PER_MULTIPLIER = 4
_FEW_CHANNELS = 4  # what kernels take at once


def portable_average_pool(operator: Operator, graph: Graph) -> Kernel:
    """The portable kernel of an average pool."""
    attributes = operator.attributes
    if not isinstance(attributes, AveragePool):
        raise TypeError(f"{operator.name} is not an average pool")
    settings = _settings(operator, graph, attributes.window)
    table = (
        len(needed_counts(attributes, int(settings["in_height"]), int(settings["in_width"]))) > 1
    )
    largest = attributes.window.height * attributes.window.width
    kind = "average_pool_whole" if attributes.padding_counts else "average_pool"
    return Kernel(
        variant="portable",
        function=_function_name(kind, settings),
        template="average_pool.c.j2",
        settings=settings | {"table": table, "padding_counts": attributes.padding_counts},
        parameters_type="average_pool_parameters",
        arrays=(
            ArrayShape(
                "multipliers", "int32_t", _BYTES_PER_MULTIPLIER * (largest + 1 if table else 1)
            ),
        ),
        pack=_pack_average_pool,
        work=_work(operator, graph, attributes.window),
        code=_loops(operator, graph),
    )


def portable_max_pool(operator: Operator, graph: Graph) -> Kernel:
    """The portable kernel of a maximum pool."""
    attributes = operator.attributes
    if not isinstance(attributes, MaxPool):
        raise TypeError(f"{operator.name} is not a maximum pool")
    settings = _settings(operator, graph, attributes.window)
    return Kernel(
        variant="portable",
        function=_function_name("max_pool", settings),
        template="max_pool.c.j2",
        settings=settings,
        parameters_type=None,
        arrays=(),
        pack=no_constants,
        work=_work(operator, graph, attributes.window),
        code=_loops(operator, graph),
    )


def _settings(operator: Operator, graph: Graph, window: Window) -> dict[str, int | str | bool]:
    in_height, in_width, channels = graph.tensors[operator.inputs[0]].shape
    out_height, out_width, _ = graph.tensors[operator.output].shape
    return {
        "in_height": in_height,
        "in_width": in_width,
        "channels": channels,
        "out_height": out_height,
        "out_width": out_width,
        "kernel_height": window.height,
        "kernel_width": window.width,
        "stride_y": window.stride[0],
        "stride_x": window.stride[1],
        "pad_top": window.padding[0],
        "pad_left": window.padding[1],
        "padded": any(window.padding),
        "cut": window.dilation == (1, 1)
        and int(pixel_counts(window, in_height, in_width).min()) < window.height * window.width,
        "dilation_y": window.dilation[0],
        "dilation_x": window.dilation[1],
        "dilated": window.dilation != (1, 1),
    }


def _work(operator: Operator, graph: Graph, window: Window) -> dict[str, int]:
    """Work by loop; of windows over the border only the rows and taps inside, unless dilated."""
    height, width, channels = graph.tensors[operator.output].shape
    in_height, in_width, _ = graph.tensors[operator.inputs[0]].shape
    covered = int(pixel_counts(window, in_height, in_width).sum()) * channels
    work = {"pixels": height * width, "outputs": height * width * channels}
    if window.dilation != (1, 1):
        rows = work["outputs"] * window.height
        return work | {"tap_rows": rows, "taps": rows * window.width, "covered": covered}
    column = replace(window, width=1, padding=(window.padding[0], 0, window.padding[2], 0))
    rows = int(pixel_counts(replace(column, stride=(window.stride[0], 1)), in_height, 1).sum())
    kind = window_class(window, height)
    return {
        "pixels": height * width,
        f"outputs_{kind}": height * width * channels,
        f"tap_rows_{kind}": rows * width * channels,
        f"covered_{kind}": covered,
    }


def _loops(operator: Operator, graph: Graph) -> dict[str, int]:
    """Loops that a compiler leaves out where they have one turn: over pixels, and over channels."""
    height, width, channels = graph.tensors[operator.output].shape
    return {"pixel_loops": int(height * width > 1), "channel_loops": int(channels > _FEW_CHANNELS)}


def _function_name(kind: str, settings: dict[str, int | str | bool]) -> str:
    k = settings
    name = (
        f"{kind}_{k['kernel_height']}x{k['kernel_width']}_s{k['stride_y']}x{k['stride_x']}_"
        f"{k['in_height']}x{k['in_width']}x{k['channels']}_to_{k['out_height']}x{k['out_width']}"
    )
    if k["dilated"]:
        name += f"_d{k['dilation_y']}x{k['dilation_x']}"
    return name + (f"_p{k['pad_top']}x{k['pad_left']}" if k["padded"] else "")


def _pack_average_pool(operator: Operator, graph: Graph, integers: Integers) -> LayerConstants:
    attributes = operator.attributes
    if not isinstance(integers, AveragePoolIntegers) or not isinstance(attributes, AveragePool):
        raise TypeError(f"{operator.name} is not an average pool")
    height, width, _ = graph.tensors[operator.inputs[0]].shape
    counts = needed_counts(attributes, height, width)
    multipliers = integers.scaling.multipliers
    packed = multipliers if len(counts) > 1 else multipliers[np.array(counts)]
    return LayerConstants(
        {"multipliers": packed},
        {
            "input_zero_point": str(integers.input_zero_point),
            "scaling": requantisation_fields(integers.scaling),
        },
    )

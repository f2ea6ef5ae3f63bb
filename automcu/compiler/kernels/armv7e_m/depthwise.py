"""Depthwise convolution on armv7e-m: the same ring of widened rows, two channels at a time."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernels.armv7e_m.depthwise_block import (
    WIDEST_KERNEL,
    DepthwiseBlock,
    depthwise_assembly,
)
from automcu.compiler.kernels.armv7e_m.ring import Ring
from automcu.compiler.kernels.kernel import Kernel, LayerConstants
from automcu.compiler.kernels.parameters import interleave
from automcu.compiler.kernels.portable_convolution import (
    convolution_arrays,
    convolution_fields,
    convolution_settings,
)
from automcu.compiler.operators import Convolution, Integers
from automcu.compiler.operators.clamp import NO_CLAMP
from automcu.compiler.operators.convolution import ConvolutionIntegers

_PIXELS = 4
_LARGEST_OFFSET = 4095


def armv7e_m_depthwise(operator: Operator, graph: Graph) -> Kernel | None:
    """The kernel for cores with the DSP extension; None where the layer is not of its shape."""
    attributes = operator.attributes
    if not isinstance(attributes, Convolution):
        return None
    in_height, in_width, in_channels = graph.tensors[operator.inputs[0]].shape
    out_height, out_width, out_channels = graph.tensors[operator.output].shape
    window = attributes.window
    if (
        not attributes.groups == in_channels == out_channels
        or in_channels % 4
        or window.width > WIDEST_KERNEL
        or window.dilation != (1, 1)
        or attributes.sum_scale is not None
        or attributes.weight_offsets is not None
    ):
        return None
    ring = Ring(in_height, in_width, in_channels, out_height, out_width, out_channels, window)
    settings = convolution_settings(operator, graph)
    function = _function_name(ring, attributes)
    plan = _blocks(ring, function)
    if any(block.columns * block.pixel_bytes > _LARGEST_OFFSET for block, _, _ in plan):
        return None
    row_bytes = 4 * plan[0][0].row_words
    return Kernel(
        variant="armv7e-m",
        function=function,
        template="armv7e_m_depthwise.c.j2",
        settings=settings
        | ring.settings()
        | {
            "group_bytes": window.height * row_bytes,
            "clamps": "" if attributes.clamp == NO_CLAMP else "scaling",
            "blocks": [
                {
                    "name": block.function,
                    "lines": partial(depthwise_assembly, block),
                    "pixels": block.pixels,
                    "count": count,
                    "column": first * block.stride * block.pixel_bytes,
                    "first_output": first * out_channels,
                }
                for block, count, first in plan
            ],
        },
        parameters_type="convolution_parameters",
        arrays=convolution_arrays(out_channels // 2 * window.height * row_bytes, out_channels),
        pack=_pack,
        scratch_bytes=ring.scratch_bytes,
        overwrites=(0,) if ring.may_overwrite_input() else (),
        work=_work(ring, plan),
        code=_code(plan),
    )


def _blocks(ring: Ring, function: str) -> list[tuple[DepthwiseBlock, int, int]]:
    """The blocks of one row of two channels: shape, how many, first pixel."""
    main = min(ring.out_width, _PIXELS)
    parts = [(main, ring.out_width // main, 0)]
    if ring.out_width % main:
        parts.append((ring.out_width % main, 1, ring.out_width // main * main))
    return [
        (
            DepthwiseBlock(
                function=f"{function}_{pixels}",
                pixels=pixels,
                kernel_height=ring.window.height,
                kernel_width=ring.window.width,
                stride=ring.window.stride[1],
                pixel_bytes=2 * ring.ring_channels,
                channels=ring.out_channels,
            ),
            count,
            first,
        )
        for pixels, count, first in parts
    ]


def _work(ring: Ring, plan: list[tuple[DepthwiseBlock, int, int]]) -> dict[str, int]:
    pairs = ring.out_height * ring.out_channels // 2
    work = ring.work() | {"groups": pairs * len(plan)}
    for block, count, _ in plan:
        name = f"{block.pixels}x{block.kernel_width}_s{block.stride}"
        work[f"blocks_{name}"] = pairs * count
        work[f"kernel_rows_{name}"] = pairs * count * block.kernel_height
    return work


def _code(plan: list[tuple[DepthwiseBlock, int, int]]) -> dict[str, int]:
    code: dict[str, int] = {}
    for block, _, _ in plan:
        code[f"block_{block.pixels}"] = 1
        name = f"{block.pixels}x{block.kernel_width}_s{block.stride}"
        code[f"kernel_rows_{name}"] = block.kernel_height
    return code


def _pack(operator: Operator, graph: Graph, integers: Integers) -> LayerConstants:
    if not isinstance(integers, ConvolutionIntegers):
        raise TypeError(f"{operator.name} is not a convolution")
    return LayerConstants(
        arrays={
            "weights": pack_depthwise_weights(integers.weights),
            "channels": interleave(integers.bias, integers.scaling.multipliers),
        },
        fields=convolution_fields(integers),
    )


def pack_depthwise_weights(weights: NDArray[np.int8]) -> NDArray[np.int8]:
    """Weights [channels, height, width, 1] as words (a0, a1, b0, b1): two channels by two taps.

    Channels are paired two apart; a kernel row of odd width ends in zero taps.
    """
    channels, height, width, _ = weights.shape
    taps = np.pad(weights[..., 0], ((0, 0), (0, 0), (0, width % 2)))
    # [four, half, parity, row, word, tap]: channels 0 and 2 of four are one pair, 1 and 3 the other
    grouped = taps.reshape(channels // 4, 2, 2, height, -1, 2)
    # to [four, parity, row, word, half, tap]
    return np.ascontiguousarray(grouped.transpose(0, 2, 3, 4, 1, 5)).reshape(-1)


def _function_name(ring: Ring, attributes: Convolution) -> str:
    window = ring.window
    name = (
        f"depthwise_{window.height}x{window.width}_{ring.in_height}x{ring.in_width}"
        f"x{ring.in_channels}_to_{ring.out_height}x{ring.out_width}"
    )
    if window.stride != (1, 1):
        name += f"_s{window.stride[0]}x{window.stride[1]}"
    if any(window.padding):
        name += "_p" + "x".join(str(pixels) for pixels in window.padding)
    return name + ("_clamp" if attributes.clamp != NO_CLAMP else "")

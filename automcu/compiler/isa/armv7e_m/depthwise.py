"""Depthwise convolution on armv7e-m: the same ring of widened rows, two channels at a time."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.isa.armv7e_m.block_shape import Tile, issues, split_row
from automcu.compiler.isa.armv7e_m.convolution import RING_FUNCTIONS, Ring, clamp_code, clamp_work
from automcu.compiler.isa.armv7e_m.depthwise_block import (
    WIDEST_KERNEL,
    DepthwiseRow,
    depthwise_assembly,
)
from automcu.compiler.isa.instruction_set import ARMV7E_M
from automcu.compiler.kernel import Kernel, LayerConstants, flash_reads
from automcu.compiler.ops.convolution import Convolution, ConvolutionIntegers
from automcu.compiler.ops.convolution_kernel import (
    PARAMETERS,
    ConvolutionShape,
    convolution_arrays,
    convolution_constants,
    convolution_shape,
)
from automcu.compiler.tensor import NO_CLAMP, Tensor
from automcu.mcu.core import Core


@ARMV7E_M.register(Convolution)
def armv7e_m_depthwise(
    attributes: Convolution, inputs: tuple[Tensor, ...], output: Tensor, core: Core
) -> Iterator[Kernel]:
    """None where the layer is not of their shape."""
    in_height, in_width, in_channels = inputs[0].shape
    out_height, out_width, out_channels = output.shape
    window = attributes.window
    if (
        not attributes.groups == in_channels == out_channels
        or in_channels % 4
        or window.width > WIDEST_KERNEL
        or window.dilation != (1, 1)
        or attributes.adds
        or attributes.weight_offsets is not None
    ):
        return
    ring = Ring(in_height, in_width, in_channels, out_height, out_width, out_channels, window)
    layer = convolution_shape(attributes, inputs, output)
    function = _function_name(ring, attributes) + layer.amplified_suffix
    for tile in _tiles(core):
        row = _row(ring, function, tile, layer.amplifies)
        if row.reaches:
            yield _kernel(layer, attributes, ring, row)


def _tiles(core: Core) -> tuple[Tile, ...]:
    """Blocks of eight sums; six with more registers left over are no faster here."""
    return tuple(Tile(4, 2, issue) for issue in issues(core))


def _row(ring: Ring, function: str, tile: Tile, amplifies: bool) -> DepthwiseRow:
    return DepthwiseRow(
        function=f"{function}_by{tile.name}",
        parts=tuple(split_row(ring.out_width, tile)),
        kernel_height=ring.window.height,
        kernel_width=ring.window.width,
        stride=ring.window.stride[1],
        pixel_bytes=2 * ring.ring_channels,
        channels=ring.out_channels,
        issue=tile.issue,
        amplifies=amplifies,
    )


def _kernel(
    layer: ConvolutionShape, attributes: Convolution, ring: Ring, row: DepthwiseRow
) -> Kernel:
    pairs = ring.out_channels // 2
    return Kernel(
        isa="armv7e-m",
        variant=f"armv7e-m {row.title}",
        cost_key="armv7e_m_depthwise",
        function=row.function,
        template=Path(__file__).with_name("depthwise.c.j2"),
        settings={
            **layer.settings,
            **ring.settings(),
            "clamps": "" if attributes.clamp == NO_CLAMP else "scaling",
            "parts": [{"pixels": pixels, "count": count} for pixels, count, _ in row.parts],
            "row_function": {
                "name": f"{row.function}_row",
                "lines": partial(depthwise_assembly, row),
            },
        },
        parameters=PARAMETERS,
        arrays=convolution_arrays(pairs * row.pair_bytes, ring.out_channels),
        pack=_pack,
        scratch_bytes=ring.scratch_bytes,
        overwrites=(0,) if ring.may_overwrite_input() else (),
        weight_order=(ring.ring_channels,),
        work=_work(ring, row) | clamp_work(attributes, ring),
        code=ring.code() | _code(row) | clamp_code(attributes),
        shared_functions=RING_FUNCTIONS,
    )


def _work(ring: Ring, row: DepthwiseRow) -> dict[str, int]:
    pairs = ring.out_height * ring.out_channels // 2
    work = Counter(ring.work())
    work[f"pairs_{row.issue}"] = pairs
    for pixels, count, _ in row.parts:
        blocks = pairs * count
        kernel_rows = blocks * row.kernel_height
        work[f"blocks_{row.issue}"] += blocks
        work[f"outputs_{row.issue}"] += blocks * pixels
        if row.amplifies:
            work["block/amplified"] += 2 * blocks * pixels
        work[f"kernel_rows_{row.issue}"] += kernel_rows
        work[f"weights_{row.issue}"] += kernel_rows * row.kernel_width
        work[f"values_{row.issue}"] += kernel_rows * len(row.columns(pixels))
        work[f"products_{row.issue}"] += kernel_rows * pixels * row.kernel_width
    return dict(work) | flash_reads(
        ring.out_channels // 2 * row.pair_bytes,
        ring.out_height,
        sum(count for _, count, _ in row.parts),
        row.pair_bytes,
    )


def _code(row: DepthwiseRow) -> dict[str, int]:
    code: Counter[str] = Counter()
    for pixels, _, _ in row.parts:
        code["blocks"] += 1
        code["outputs"] += pixels
        code["amplified"] += pixels if row.amplifies else 0
        code["kernel_rows"] += row.kernel_height
        code["weights"] += row.kernel_height * row.kernel_width
        code["values"] += row.kernel_height * len(row.columns(pixels))
        code["products"] += row.kernel_height * pixels * row.kernel_width
    return dict(code)


def _pack(integers: ConvolutionIntegers) -> LayerConstants:
    return convolution_constants(integers, pack_depthwise_weights(integers.weights))


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

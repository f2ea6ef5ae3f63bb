"""Convolution on armv7e-m: input rows widened to 16 bits in a ring, blocks of pixels by channels.

A pointwise layer is reshaped into short rows, so that its ring stays small.
"""

from collections import Counter
from functools import partial

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.isa.armv7e_m.block import assembly
from automcu.compiler.isa.armv7e_m.block_shape import Block
from automcu.compiler.isa.armv7e_m.ring import Ring
from automcu.compiler.isa.armv7e_m.tiling import Tile, split_row, tiles
from automcu.compiler.kernel import Kernel, LayerConstants
from automcu.compiler.lowering import Integers
from automcu.compiler.memory_work import flash_reads
from automcu.compiler.ops import Convolution
from automcu.compiler.ops.clamp import NO_CLAMP
from automcu.compiler.ops.convolution import ConvolutionIntegers
from automcu.compiler.ops.portable_convolution import (
    amplified_suffix,
    convolution_arrays,
    convolution_fields,
    convolution_settings,
    variant_name,
    width_suffix,
)
from automcu.compiler.ops.windows import Window
from automcu.compiler.parameters import interleave
from automcu.compiler.weight_packing import Packing, packing
from automcu.mcu.profile import Core

_PIXELS = 4
_LONGEST_ROW = 32  # pixels that a pointwise layer takes at a time ...
_ROW_VALUES = 2048  # ... as long as they are no more values than this
_SHORT_ROW = 8  # values of a kernel row up to which windows are gathered ...
_MANY_ROWS = 4  # ... if the kernel has this many rows
_Plan = list[tuple[Block, int, int]]  # blocks of one row: shape, how many, first pixel
_QUAD_ORDER = (0, 2, 1, 3)  # the order in which SXTB16 pairs four neighbouring bytes


def armv7e_m_convolutions(operator: Operator, graph: Graph, core: Core) -> tuple[Kernel, ...]:
    """The kernels for cores with the DSP extension that can carry out the layer; may be none.

    They differ in the block of pixels by channels that the inner loop computes at once; where
    nothing is known of their cycles, the first is to be taken.
    """
    attributes = operator.attributes
    if not isinstance(attributes, Convolution) or not _is_supported(attributes):
        return ()
    shape = _shape(operator, attributes, graph)
    return tuple(
        _kernel(operator, graph, attributes, shape, tile)
        for tile in tiles(shape.out_width, shape.out_channels, core)
        if all(block.reaches for block, _, _ in _blocks(shape, shape.out_width, tile))
    )


def _kernel(
    operator: Operator, graph: Graph, attributes: Convolution, shape: Ring, tile: Tile
) -> Kernel:
    residual = attributes.sum_scale is not None
    gathers = _gathers(attributes, graph.tensors[operator.inputs[0]].shape[2])
    settings = convolution_settings(operator, graph)
    window_settings = {f"window_{name}": value for name, value in settings.items()}
    function = f"{_function_name(settings, shape, residual, attributes)}_by{tile.name}"
    blocks = partial(
        _blocks, function=function, residual=residual, amplifies=bool(settings["amplifies"])
    )
    plan = blocks(shape, shape.out_width, tile)
    tail = blocks(shape, shape.tail_pixels, tile) if shape.tail_pixels else []
    block = plan[0][0]
    group_bytes = block.pair_bytes * block.channels // 2
    groups = shape.out_channels // block.channels
    packed = packing(attributes.weight_bits, groups * group_bytes, groups)
    return Kernel(
        variant=variant_name(f"armv7e-m {tile.title}", attributes),
        function=function,
        template="armv7e_m_convolution.c.j2",
        settings=settings
        | window_settings
        | _settings(shape, attributes, plan, tail)
        | ({"gathers": True, "padded": True} | _NO_PADDING if gathers else {"gathers": False})
        | (packed.settings(scratch_offset=shape.scratch_bytes) if packed else {}),
        parameters_type="convolution_parameters",
        arrays=convolution_arrays(
            packed.packed_bytes if packed else groups * group_bytes, shape.out_channels
        ),
        pack=partial(_pack, packed=packed),
        scratch_bytes=shape.scratch_bytes + (packed.unpacked_bytes if packed else 0),
        overwrites=((1,) if residual else ())
        + ((0,) if shape.may_overwrite_input() and not gathers else ()),
        work=(_gathering(attributes, shape) if gathers else {})
        | _work(shape, plan, tail, gathers)
        | (packed.work(shape.out_height + bool(tail)) if packed else {})
        | clamp_work(attributes, shape),
        code=_code(shape, plan + tail, attributes if gathers else None)
        | ({"unpack/drivers": 1} if packed else {})
        | clamp_code(attributes),
    )


_NO_PADDING = {"pad_top": 0, "pad_left": 0, "pad_bottom": 0, "stride_y": 1, "kernel_height": 1}


def _is_supported(attributes: Convolution) -> bool:
    return (
        attributes.groups == 1
        and attributes.out_channels % 2 == 0
        and attributes.window.dilation == (1, 1)
        and attributes.weight_offsets is None
        # A clamp between convolution and sum is rare; the portable kernel has it.
        and (attributes.sum_scale is None or attributes.clamp == NO_CLAMP)
    )


def _shape(operator: Operator, attributes: Convolution, graph: Graph) -> Ring:
    in_height, in_width, in_channels = graph.tensors[operator.inputs[0]].shape
    out_height, out_width, out_channels = graph.tensors[operator.output].shape
    tail = 0
    if _gathers(attributes, in_channels):
        depth = attributes.window.height * attributes.window.width * in_channels
        return Ring(out_height, out_width, depth, out_height, out_width, out_channels, Window(1, 1))
    if attributes.window.is_pointwise:
        pixels = in_height * in_width
        in_width = out_width = _row_length(pixels, in_channels)
        in_height = out_height = pixels // in_width
        tail = pixels % in_width
    return Ring(
        in_height,
        in_width,
        in_channels,
        out_height,
        out_width,
        out_channels,
        attributes.window,
        tail,
    )


def _gathers(attributes: Convolution, in_channels: int) -> bool:
    """Whether kernel rows are so short that windows are better gathered, whole, for each pixel.

    The layer is then pointwise on the gathered windows.
    """
    window = attributes.window
    return window.height >= _MANY_ROWS and window.width * in_channels <= _SHORT_ROW


def _row_length(pixels: int, channels: int) -> int:
    """Pixels that a pointwise layer widens at a time: whole blocks where there are enough."""
    longest = min(_LONGEST_ROW, _ROW_VALUES // channels // _PIXELS * _PIXELS)
    return pixels if pixels <= _PIXELS else min(pixels, max(_PIXELS, longest))


def _blocks(
    shape: Ring,
    width: int,
    tile: Tile,
    function: str = "",
    residual: bool = False,
    amplifies: bool = False,
) -> _Plan:
    """The blocks of a row of `width` pixels: shape, how many, first pixel."""
    return [
        (
            Block(
                function=f"{function}_block{pixels}",
                pixels=pixels,
                channels=tile.channels,
                segments=shape.window.height,
                steps=shape.steps,
                pixel_bytes=2 * shape.window.stride[1] * shape.ring_channels,
                out_channels=shape.out_channels,
                residual=residual,
                issue=tile.issue,
                amplifies=amplifies,
            ),
            count,
            first,
        )
        for pixels, count, first in split_row(width, tile)
    ]


def _settings(shape: Ring, attributes: Convolution, plan: _Plan, tail: _Plan) -> dict[str, object]:
    clamp = attributes.clamp if attributes.sum_scale is None else attributes.sum_clamp
    block = plan[0][0]
    return shape.settings() | {
        "residual": attributes.sum_scale is not None,
        "block_channels": block.channels,
        "group_bytes": block.pair_bytes * block.channels // 2,
        "clamps": ""
        if clamp == NO_CLAMP
        else ("sum" if attributes.sum_scale is not None else "scaling"),
        "functions": [
            {"name": name, "lines": partial(assembly, part)}
            for name, part in {part.function: part for part, _, _ in plan + tail}.items()
        ],
        "blocks": _block_settings(plan),
        "tail_blocks": _block_settings(tail),
    }


def _block_settings(plan: _Plan) -> list[dict[str, object]]:
    return [
        {
            "name": part.function,
            "pixels": part.pixels,
            "channels": part.channels,
            "count": count,
            "column": first * part.pixel_bytes,
            "first_output": first * part.out_channels,
        }
        for part, count, first in plan
    ]


def _work(shape: Ring, plan: _Plan, tail: _Plan, gathers: bool) -> dict[str, int]:
    groups = shape.out_channels // plan[0][0].channels
    work = Counter({} if gathers else shape.work())
    rows = shape.out_height + bool(tail)
    group_bytes = plan[0][0].pair_bytes * plan[0][0].channels // 2
    # Each block of a row reads the group's weights again.
    passes = max(1, round(sum(count for _, count, _ in plan)))
    work.update(flash_reads(groups * group_bytes, rows, passes, group_bytes))
    for rows, blocks_of_row in ((shape.out_height, plan), (1, tail)):
        work["block/groups"] += rows * groups * len(blocks_of_row)
        for block, count, _ in blocks_of_row:
            blocks = rows * groups * count
            if block.amplifies:
                work["block/amplified"] += blocks * block.pixels * block.channels
            work[f"blocks_{block.name}"] += blocks
            for unit, amount in _loop_work(block).items():
                work[unit] += blocks * amount
    return dict(work)


def _loop_work(block: Block) -> dict[str, int]:
    """What one block's loops take: the same code in all kernels, so that figures are shared."""
    work = {
        f"block/steps_{block.name}": block.segments * block.steps,
        f"block/passes_{block.issue}": block.segments * block.steps // block.unrolled,
    }
    if block.segments > 1:
        work[f"block/segments_{block.issue}"] = block.segments
    return work


def _gathering(attributes: Convolution, shape: Ring) -> dict[str, int]:
    """Windows gathered value by value, where kernel rows are too short for the ring."""
    window = attributes.window
    pixels = shape.out_height * shape.out_width
    return {
        "gather/rows": shape.out_height,
        "gather/pixels": pixels,
        "gather/tap_rows": pixels * window.height,
        "gather/taps": pixels * window.height * window.width,
        "gather/values": pixels * shape.in_channels,
    }


def clamp_work(attributes: Convolution, shape: Ring) -> dict[str, int]:
    """A pass over all outputs, where they are clamped to less than int8."""
    if not _clamps(attributes):
        return {}
    return {"clamp/outputs": shape.out_height * shape.out_width * shape.out_channels}


def clamp_code(attributes: Convolution) -> dict[str, int]:
    """The code of that."""
    return {"clamp/passes": 1} if _clamps(attributes) else {}


def _clamps(attributes: Convolution) -> bool:
    clamp = attributes.clamp if attributes.sum_scale is None else attributes.sum_clamp
    return clamp != NO_CLAMP


def _code(shape: Ring, plan: _Plan, gathers: Convolution | None) -> dict[str, int]:
    code = shape.code()
    if gathers is not None:
        taps = gathers.window.height * gathers.window.width
        code |= {"gather/functions": 1, "gather/channels": shape.in_channels // taps}
    for block, _, _ in plan:
        code[f"block_{block.name}"] = 1
        code[f"steps_{block.name}"] = block.unrolled
        if block.amplifies:
            code["amplified"] = code.get("amplified", 0) + block.pixels * block.channels
    return code


def _pack(
    operator: Operator, graph: Graph, integers: Integers, packed: Packing | None
) -> LayerConstants:
    attributes = operator.attributes
    if not isinstance(integers, ConvolutionIntegers) or not isinstance(attributes, Convolution):
        raise TypeError(f"{operator.name} is not a convolution")
    shape = _shape(operator, attributes, graph)
    weights = integers.weights
    gathers = _gathers(attributes, weights.shape[3])
    if gathers:
        weights = weights.reshape(len(weights), 1, 1, -1)
    ordered = pack_weights(weights, shape.ring_channels, in_quads=not gathers)
    return LayerConstants(
        arrays={
            "weights": packed.pack(ordered) if packed else ordered,
            "channels": interleave(integers.bias, integers.scaling.multipliers),
        },
        fields=convolution_fields(integers),
    )


def pack_weights(weights: NDArray[np.int8], ring_channels: int, in_quads: bool) -> NDArray[np.int8]:
    """Weights [out, height, width, in] in the order of the inner loop: (a0, b0, a1, b1) words.

    Depth follows the ring: channels padded to `ring_channels`; `in_quads` where groups of four
    channels are in the order that widening by SXTB16 leaves them in; each kernel row padded to
    whole pairs.
    """
    out_channels, height, width, in_channels = weights.shape
    padded = np.zeros((out_channels, height, width, ring_channels), np.int8)
    padded[..., :in_channels] = weights
    if in_quads and in_channels % len(_QUAD_ORDER) == 0:
        quads = padded.reshape(out_channels, height, -1, len(_QUAD_ORDER))
        padded = quads[..., np.array(_QUAD_ORDER)]
    segments = padded.reshape(out_channels, height, width * ring_channels)
    if segments.shape[2] % 2:
        segments = np.pad(segments, ((0, 0), (0, 0), (0, 1)))
    pairs = segments.reshape(out_channels // 2, 2, height, -1, 2)
    # [pair, channel, row, step, value] to [pair, row, step, value, channel]
    return np.ascontiguousarray(pairs.transpose(0, 2, 3, 4, 1)).reshape(-1)


def _function_name(
    settings: dict[str, int | str | bool],
    shape: Ring,
    residual: bool,
    attributes: Convolution,
) -> str:
    k = settings
    window = attributes.window
    name = (
        f"convolution_{window.height}x{window.width}_{k['in_height']}x{k['in_width']}"
        f"x{k['in_channels']}_to_{k['out_height']}x{k['out_width']}x{shape.out_channels}"
    )
    if window.stride != (1, 1):
        name += f"_s{window.stride[0]}x{window.stride[1]}"
    if any(window.padding):
        name += "_p" + "x".join(str(pixels) for pixels in window.padding)
    clamp = attributes.sum_clamp if residual else attributes.clamp
    name += ("_add" if residual else "") + ("_clamp" if clamp != NO_CLAMP else "")
    return name + amplified_suffix(settings) + width_suffix(attributes)

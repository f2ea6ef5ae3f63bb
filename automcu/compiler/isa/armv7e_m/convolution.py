"""Convolution on armv7e-m: input rows widened to 16 bits in a ring, blocks of pixels by channels.

Each input row is widened to 16 bits once, with the padding in place, and read by every output row
and channel that needs it. Because rows are copied before they are used, the output may take the
input's memory where it never catches up with rows still to be read.

A pointwise layer is reshaped into short rows, so that its ring stays small.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.isa.armv7e_m.block import assembly
from automcu.compiler.isa.armv7e_m.block_shape import Block, Tile, split_row, tiles
from automcu.compiler.isa.instruction_set import ARMV7E_M
from automcu.compiler.kernel import Kernel, LayerConstants, cost_key, flash_reads
from automcu.compiler.ops.convolution import Convolution, ConvolutionIntegers
from automcu.compiler.ops.convolution_kernel import (
    PARAMETERS,
    ConvolutionShape,
    convolution_arrays,
    convolution_constants,
    convolution_shape,
    variant_name,
    width_suffix,
)
from automcu.compiler.tensor import NO_CLAMP, POINTWISE, Shape, Tensor, Window
from automcu.compiler.weight_packing import UNPACKING, Packing, packing
from automcu.mcu.core import Core

RING_FUNCTIONS = ("advance_ring", "widen_pixels")
"""The C functions that a program with such kernels has once."""


@dataclass(frozen=True)
class Ring:
    """How a layer is cut into rows, and rows into segments that one kernel row multiplies.

    A pointwise layer is cut into short rows of its own, the last of which has `tail_pixels` only.
    """

    in_height: int
    in_width: int
    in_channels: int
    out_height: int
    out_width: int
    out_channels: int
    window: Window
    tail_pixels: int = 0

    @property
    def ring_channels(self) -> int:
        """Channels in the ring: windows of neighbouring pixels must start at whole words."""
        channels = self.in_channels
        while channels % 4 and self.window.stride[1] * channels % 2:
            channels += 1
        return channels

    @property
    def ring_pixels(self) -> int:
        """Input pixels of a row that the output row reads, padding included."""
        return (self.out_width - 1) * self.window.stride[1] + self.window.width

    @property
    def segment(self) -> int:
        """Values that one kernel row multiplies."""
        return self.window.width * self.ring_channels

    @property
    def steps(self) -> int:
        """Pairs of values in a segment."""
        return (self.segment + 1) // 2

    @property
    def ring_row(self) -> int:
        """Values between rows of the ring; one more is read where a segment is odd."""
        values = self.ring_pixels * self.ring_channels + self.segment % 2
        return values + values % 2

    @property
    def scratch_bytes(self) -> int:
        """Bytes of the ring: one row for each kernel row."""
        return 2 * self.window.height * self.ring_row

    def settings(self) -> dict[str, object]:
        """The constants that the C code of the ring needs."""
        pad_left = self.window.padding[1]
        read_pixels = min(self.in_width, self.ring_pixels - pad_left)
        return {
            "in_height": self.in_height + bool(self.tail_pixels),
            "in_width": self.in_width,
            "in_channels": self.in_channels,
            "padded": any(self.window.padding),
            "pad_bottom": self.window.padding[2],
            "ring_channels": self.ring_channels,
            "ring_pixels": self.ring_pixels,
            "ring_row": self.ring_row,
            "read_pixels": read_pixels,
            "right_pixels": self.ring_pixels - pad_left - read_pixels,
            "tail_pixels": self.tail_pixels,
            "gathers": False,
            "out_rows": self.out_height,
            "row_outputs": self.out_width * self.out_channels,
        }

    def work(self) -> dict[str, int]:
        """What filling the ring takes, for the latency model: the same code in all kernels.

        Channels in fours are widened a word at a time, others value by value.
        """
        read, filled = self._rows()
        pixels = read * min(self.in_width, self.ring_pixels - self.window.padding[1])
        pixels += self.tail_pixels
        calls = self.out_height + bool(self.tail_pixels)
        in_words = self.in_channels % 4 == 0
        values = pixels * self.ring_channels
        work = {
            "ring/calls": calls,
            "ring/pointers": calls * self.window.height,
            "ring/rows": read + filled + bool(self.tail_pixels),
            "ring/padding": (read + filled) * self.ring_row - values,
        }
        if in_words:
            return work | {"ring/words": values // 4}
        return work | {"ring/values": values, "ring/pixels": pixels}

    def _rows(self) -> tuple[int, int]:
        """Image rows that are widened, and rows of padding that are filled in."""
        new = min(self.window.stride[0], self.window.height)
        read = filled = 0
        for row in range(self.out_height):
            end = row * self.window.stride[0] + self.window.height - self.window.padding[0]
            first = end - (new if row else self.window.height)
            inside = max(0, min(end, self.in_height) - max(first, 0))
            read += inside
            filled += end - first - inside
        return read, filled

    def code(self) -> dict[str, int]:
        """What the code has beyond the blocks, for the code size model: a loop, a second part."""
        loop = {"loops": 1} if self.out_height > 1 else {}
        return loop | ({"tails": 1} if self.tail_pixels else {})

    def may_overwrite_input(self) -> bool:
        """Whether every output row only covers input rows that are in the ring by then."""
        for row in range(self.out_height):
            written = (row + 1) * self.out_width * self.out_channels
            first = row * self.window.stride[0] - self.window.padding[0]
            read = min(first + self.window.height, self.in_height)
            if written > read * self.in_width * self.in_channels:
                return False
        return True


_PIXELS = 4
_LONGEST_ROW = 32  # pixels that a pointwise layer takes at a time ...
_ROW_VALUES = 2048  # ... as long as they are no more values than this
_SHORT_ROW = 8  # values of a kernel row up to which windows are gathered ...
_MANY_ROWS = 4  # ... if the kernel has this many rows
_Plan = list[tuple[Block, int, int]]  # blocks of one row: shape, how many, first pixel
_QUAD_ORDER = (0, 2, 1, 3)  # the order in which SXTB16 pairs four neighbouring bytes


@ARMV7E_M.register(Convolution)
def armv7e_m_convolutions(
    attributes: Convolution, inputs: tuple[Tensor, ...], output: Tensor, core: Core
) -> Iterator[Kernel]:
    """The kernels that can carry out the layer; may be none.

    They differ in the block of pixels by channels that the inner loop computes at once; where
    nothing is known of their cycles, the first is to be taken.
    """
    if not _is_supported(attributes):
        return
    layer = convolution_shape(attributes, inputs, output)
    ring = _ring(attributes, inputs[0].shape, output.shape)
    for tile in tiles(ring.out_width, ring.out_channels, core):
        if all(block.reaches for block, _, _ in _blocks(ring, ring.out_width, tile)):
            yield _kernel(attributes, layer, ring, tile)


def _kernel(attributes: Convolution, layer: ConvolutionShape, ring: Ring, tile: Tile) -> Kernel:
    gathers = _gathers(attributes, layer.in_channels)
    function = f"{_function_name(layer, ring, attributes)}_by{tile.name}"
    blocks = partial(
        _blocks, function=function, residual=attributes.adds, amplifies=layer.amplifies
    )
    plan = blocks(ring, ring.out_width, tile)
    tail = blocks(ring, ring.tail_pixels, tile) if ring.tail_pixels else []
    block = plan[0][0]
    group_bytes = block.pair_bytes * block.channels // 2
    groups = ring.out_channels // block.channels
    packed = packing(attributes.weight_bits, groups * group_bytes, groups)
    stored = packed.packed_bytes if packed else groups * group_bytes
    return Kernel(
        isa="armv7e-m",
        variant=variant_name(f"armv7e-m {tile.title}", attributes),
        cost_key=cost_key("armv7e_m_convolution", residual=attributes.adds),
        function=function,
        template=Path(__file__).with_name("convolution.c.j2"),
        settings=layer.settings
        | {f"window_{name}": value for name, value in layer.settings.items()}
        | _settings(ring, attributes, plan, tail)
        | ({"gathers": True, "padded": True} | _NO_PADDING if gathers else {"gathers": False})
        | (packed.settings(scratch_offset=ring.scratch_bytes) if packed else {}),
        parameters=PARAMETERS,
        arrays=convolution_arrays(stored, ring.out_channels),
        pack=partial(_pack, ring=ring, gathers=gathers, packed=packed),
        scratch_bytes=ring.scratch_bytes + (packed.unpacked_bytes if packed else 0),
        overwrites=((1,) if attributes.adds else ())
        + ((0,) if ring.may_overwrite_input() and not gathers else ()),
        weight_order=(ring.ring_channels, gathers, packed),
        work=(_gathering(attributes, ring) if gathers else {})
        | _work(ring, plan, tail, gathers)
        | (packed.work(ring.out_height + bool(tail)) if packed else {})
        | clamp_work(attributes, ring),
        code=_code(ring, plan + tail, attributes if gathers else None)
        | ({"unpack/drivers": 1} if packed else {})
        | clamp_code(attributes),
        shared_functions=(() if gathers else RING_FUNCTIONS)
        + ((packed.function,) if packed else ()),
        shared_code=(UNPACKING,) if packed else (),
    )


_NO_PADDING = {"pad_top": 0, "pad_left": 0, "pad_bottom": 0, "stride_y": 1, "kernel_height": 1}


def _is_supported(attributes: Convolution) -> bool:
    return (
        attributes.groups == 1
        and not attributes.ternary
        and attributes.out_channels % 2 == 0
        and attributes.window.dilation == (1, 1)
        and attributes.weight_offsets is None
        # A clamp between convolution and sum is rare; the portable kernel has it.
        and not (attributes.adds and attributes.clamp != NO_CLAMP)
    )


def _ring(attributes: Convolution, source: Shape, result: Shape) -> Ring:
    in_height, in_width, in_channels = source
    out_height, out_width, out_channels = result
    tail = 0
    if _gathers(attributes, in_channels):
        depth = attributes.window.height * attributes.window.width * in_channels
        return Ring(out_height, out_width, depth, out_height, out_width, out_channels, POINTWISE)
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
    ring: Ring,
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
                segments=ring.window.height,
                steps=ring.steps,
                pixel_bytes=2 * ring.window.stride[1] * ring.ring_channels,
                out_channels=ring.out_channels,
                residual=residual,
                issue=tile.issue,
                amplifies=amplifies,
            ),
            count,
            first,
        )
        for pixels, count, first in split_row(width, tile)
    ]


def _settings(ring: Ring, attributes: Convolution, plan: _Plan, tail: _Plan) -> dict[str, object]:
    block = plan[0][0]
    clamps = "sum" if attributes.adds else "scaling"
    return ring.settings() | {
        "residual": attributes.adds,
        "block_channels": block.channels,
        "group_bytes": block.pair_bytes * block.channels // 2,
        "clamps": "" if attributes.final_clamp == NO_CLAMP else clamps,
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


def _work(ring: Ring, plan: _Plan, tail: _Plan, gathers: bool) -> dict[str, int]:
    groups = ring.out_channels // plan[0][0].channels
    work = Counter({} if gathers else ring.work())
    rows = ring.out_height + bool(tail)
    group_bytes = plan[0][0].pair_bytes * plan[0][0].channels // 2
    # Each block of a row reads the group's weights again.
    passes = max(1, round(sum(count for _, count, _ in plan)))
    work.update(flash_reads(groups * group_bytes, rows, passes, group_bytes))
    for rows, blocks_of_row in ((ring.out_height, plan), (1, tail)):
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


def _gathering(attributes: Convolution, ring: Ring) -> dict[str, int]:
    """Windows gathered value by value, where kernel rows are too short for the ring.

    Each tap is tested where the image has a border; one channel leaves a loop out.
    """
    window = attributes.window
    pixels = ring.out_height * ring.out_width
    taps = pixels * window.height * window.width
    single = "_single" if ring.in_channels == window.height * window.width else ""
    border = "_border" if any(window.padding) else ""
    return {
        "gather/rows": ring.out_height,
        "gather/pixels": pixels,
        f"gather/tap_rows{border}": pixels * window.height,
        f"gather/taps{border}{single}": taps,
        f"gather/values{border}": 0 if single else pixels * ring.in_channels,
    }


def clamp_work(attributes: Convolution, ring: Ring) -> dict[str, int]:
    """A pass over all outputs, where they are clamped to less than int8."""
    if attributes.final_clamp == NO_CLAMP:
        return {}
    return {"clamp/outputs": ring.out_height * ring.out_width * ring.out_channels}


def clamp_code(attributes: Convolution) -> dict[str, int]:
    """The code of that."""
    return {} if attributes.final_clamp == NO_CLAMP else {"clamp/passes": 1}


def _code(ring: Ring, plan: _Plan, gathers: Convolution | None) -> dict[str, int]:
    code = ring.code()
    if gathers is not None:
        taps = gathers.window.height * gathers.window.width
        code |= {"gather/functions": 1, "gather/channels": ring.in_channels // taps}
    for block, _, _ in plan:
        code[f"block_{block.name}"] = 1
        code[f"steps_{block.name}"] = block.unrolled
        if block.amplifies:
            code["amplified"] = code.get("amplified", 0) + block.pixels * block.channels
    return code


def _pack(
    integers: ConvolutionIntegers, ring: Ring, gathers: bool, packed: Packing | None
) -> LayerConstants:
    weights = integers.weights
    if gathers:
        weights = weights.reshape(len(weights), 1, 1, -1)
    ordered = pack_weights(weights, ring.ring_channels, in_quads=not gathers)
    return convolution_constants(integers, packed.pack(ordered) if packed else ordered)


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


def _function_name(layer: ConvolutionShape, ring: Ring, attributes: Convolution) -> str:
    window = attributes.window
    name = (
        f"convolution_{window.height}x{window.width}_{layer.in_height}x{layer.in_width}"
        f"x{layer.in_channels}_to_{layer.out_height}x{layer.out_width}x{ring.out_channels}"
    )
    if window.stride != (1, 1):
        name += f"_s{window.stride[0]}x{window.stride[1]}"
    if any(window.padding):
        name += "_p" + "x".join(str(pixels) for pixels in window.padding)
    name += "_add" if attributes.adds else ""
    name += "" if attributes.final_clamp == NO_CLAMP else "_clamp"
    return name + layer.amplified_suffix + width_suffix(attributes)

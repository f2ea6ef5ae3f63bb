"""Convolution in portable C: gather a pixel's window, then one dot product a channel."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.kernel import (
    ADD_SCALING,
    CHANNEL_CONSTANTS,
    REQUANTISATION,
    ArrayShape,
    Field,
    Kernel,
    LayerConstants,
    Parameters,
    aligned,
    copies,
    copy_code,
    cost_key,
    flash_reads,
)
from automcu.compiler.tensor import Tensor, pixel_counts, window_class
from automcu.compiler.weight_packing import FULL_WIDTH, UNPACKING, Packing, packing

if TYPE_CHECKING:
    from automcu.compiler.ops.convolution import Convolution, ConvolutionIntegers

_BYTES_PER_CHANNEL = 8  # channel_constants: bias and multiplier
_BYTES_PER_OFFSET = 4
_CHANNEL_BLOCK = 4  # output channels that share one load of the input

SUM = Field(ADD_SCALING, "of the result and the other operand, where there is one", "residual")
PADDING_VALUE = Field("int32_t", "what a tap outside the image reads: the input's zero point")
PARAMETERS = Parameters(
    "convolution_parameters",
    {
        "weights": "const int8_t *",
        "channels": f"const {CHANNEL_CONSTANTS.name} *",
        "padding_value": PADDING_VALUE,
        "scaling": REQUANTISATION,
        "weight_offsets": Field(
            "const int32_t *", "one a channel, where weights are wider than 8 bits", "offsets"
        ),
        "sum": SUM,
    },
    order=0,
)


def portable_convolution(
    attributes: "Convolution", inputs: tuple[Tensor, ...], output: Tensor
) -> Kernel:
    """The portable kernel of a convolution whose weights are not ternary."""
    shape = convolution_shape(attributes, inputs, output)
    if attributes.groups == shape.in_channels and attributes.groups > 1:
        return _depthwise(attributes, shape)
    window, out_channels = attributes.window, attributes.out_channels
    depth = window.height * window.width * shape.in_channels // attributes.groups
    one_pixel = shape.in_height == shape.in_width == 1
    shrinks = window.is_pointwise and out_channels <= shape.in_channels and not one_pixel
    gathers = attributes.groups > 1 or shrinks or not window.is_pointwise
    patch = window.height * window.width * shape.in_channels
    # A pointwise layer that does not widen may write over what it has already gathered.
    overwrites = ((0,) if shrinks else ()) + ((1,) if attributes.adds else ())
    block = _CHANNEL_BLOCK if attributes.groups == 1 and out_channels % _CHANNEL_BLOCK == 0 else 1
    packed = packing(attributes.weight_bits, out_channels * depth, out_channels // block)
    stored = packed.packed_bytes if packed else out_channels * depth
    unpacked = packed.unpacked_bytes if packed else 0
    return Kernel(
        variant=variant_name("portable", attributes),
        cost_key="portable-convolution",
        function=_function_name("convolution", shape, attributes) + width_suffix(attributes),
        template=Path(__file__).with_name("convolution.c.j2"),
        settings=shape.settings
        | {"gathers": gathers, "depth": depth, "block": block, "residual": attributes.adds}
        | (packed.settings(scratch_offset=0) if packed else {}),
        parameters=PARAMETERS,
        arrays=convolution_arrays(stored, out_channels) + _offsets(attributes),
        pack=partial(pack_convolution, packed=packed),
        scratch_bytes=unpacked + (patch if gathers else 0),
        overwrites=overwrites,
        weight_order=(gathers, packed),
        work=_products(attributes, shape, block)
        | (_gathering(shape) if gathers else {})
        | (packed.work(shape.out_pixels) if packed else {})
        | flash_reads(stored, shape.out_pixels),
        code=_code(attributes, shape, block, gathers) | ({"unpack/drivers": 1} if packed else {}),
        shared_functions=(packed.function,) if packed else (),
        shared_code=(UNPACKING,) if packed else (),
    )


def _loops(attributes: "Convolution", block: int) -> str:
    """Which of the template's inner loops a kernel has."""
    return "grouped" if attributes.groups > 1 else f"block{block}"


def _products(attributes: "Convolution", shape: "ConvolutionShape", block: int) -> dict[str, int]:
    """Work of the loops over channels and taps."""
    pixels, outputs = shape.out_pixels, shape.out_pixels * attributes.out_channels
    taps = attributes.window.height * attributes.window.width
    macs = outputs * taps * (shape.in_channels // attributes.groups)
    loops = _loops(attributes, block)
    work = {
        "pixels": pixels,
        "outputs": outputs,
        f"sums_{loops}": outputs // block * (taps if attributes.groups > 1 else 1),
        f"macs_{loops}": macs,
    }
    if attributes.adds:
        work["added"] = outputs
    if shape.amplifies:
        work["amplified"] = outputs
    if shape.offsets:
        work["offset_macs" if attributes.groups > 1 else "summed"] = (
            macs if attributes.groups > 1 else macs // attributes.out_channels
        )
    return work


def _gathering(shape: "ConvolutionShape") -> dict[str, int]:
    """Work of copying a pixel, or the pixels of its window."""
    if shape.pointwise:
        return copies(shape.out_pixels, shape.in_channels)
    rows = shape.out_pixels * shape.kernel_height
    taps = rows * shape.kernel_width
    return {"tap_rows": rows, "taps": taps} | copies(taps, shape.in_channels)


def _code(
    attributes: "Convolution", shape: "ConvolutionShape", block: int, gathers: bool
) -> dict[str, int]:
    """What the code has, and what of it is there for each of the block's channels."""
    code = {_loops(attributes, block): 1}
    if gathers and shape.pointwise:
        code |= copy_code(shape.in_channels)
    elif gathers:
        window = attributes.window
        code |= {
            "windows": 1,
            "window_rows": int(window.height > 1),
            "window_columns": int(window.width > 1),
            "row_borders": int(any(window.padding[::2])),
            "column_borders": int(any(window.padding[1::2])),
            "output_rows": int(shape.out_height > 1),
        } | copy_code(shape.in_channels)
    if shape.offsets:
        code |= {"offsets": 1, "offset_channels": block}
    if attributes.adds:
        code["added_channels"] = block
    if shape.amplifies:
        code["amplified_channels"] = block
    if shape.out_pixels > 1:
        code["pixel_loops"] = 1
    return code


def _depthwise(attributes: "Convolution", shape: "ConvolutionShape") -> Kernel:
    window, out_channels = attributes.window, attributes.out_channels
    depth = window.height * window.width
    per_pixel_in_place = window.is_pointwise and out_channels == shape.in_channels
    single_tap = depth == 1
    cut = depth > 1 and any(window.padding)
    return Kernel(
        cost_key=cost_key("portable-depthwise", single_tap=single_tap, cut=cut),
        function=_function_name("depthwise", shape, attributes),
        template=Path(__file__).with_name("depthwise.c.j2"),
        settings=shape.settings
        | {
            "depth": depth,
            "residual": attributes.adds,
            "multiplier": out_channels // shape.in_channels,
            "single_tap": single_tap,
            "cut": cut,
        },
        parameters=PARAMETERS,
        arrays=convolution_arrays(out_channels * depth, out_channels) + _offsets(attributes),
        pack=pack_convolution,
        overwrites=((0,) if per_pixel_in_place else ()) + ((1,) if attributes.adds else ()),
        work=_depthwise_work(attributes, shape),
        code={
            "offsets": int(shape.offsets),
            "added": int(attributes.adds),
            "amplified": int(shape.amplifies),
            "column_loops": int(window.width > 1),
            "row_loops": int(window.height > 1),
        },
    )


def _depthwise_work(attributes: "Convolution", shape: "ConvolutionShape") -> dict[str, int]:
    """Work by loop, from pixels to taps; those outside the image are tested all the same."""
    window, channels = attributes.window, attributes.out_channels
    outputs = shape.out_pixels * channels
    covered = pixel_counts(window, shape.in_height, shape.in_width).sum()
    taps = outputs * window.height * window.width
    kind = window_class(window, shape.out_height)
    work = {
        "pixels": shape.out_pixels,
        f"outputs_{kind}": outputs,
        f"tap_rows_{kind}": outputs * window.height,
        f"taps_{kind}": taps,
        f"covered_{kind}": int(covered) * channels,
    }
    if shape.offsets:
        work["offset_taps"] = taps
    if attributes.adds:
        work["added"] = outputs
    if shape.amplifies:
        work["amplified"] = outputs
    if channels > shape.in_channels:
        work["divided"] = taps
    return work | flash_reads(channels * window.height * window.width, shape.out_pixels)


@dataclass(frozen=True)
class ConvolutionShape:
    """The constants that every convolution template needs."""

    title: str
    in_height: int
    in_width: int
    in_channels: int
    out_height: int
    out_width: int
    out_channels: int
    out_pixels: int
    kernel_height: int
    kernel_width: int
    stride_y: int
    stride_x: int
    pad_top: int
    pad_left: int
    dilation_y: int
    dilation_x: int
    groups: int
    pointwise: bool
    offsets: bool
    amplifies: bool

    @property
    def settings(self) -> dict[str, object]:
        """The same by name."""
        return vars(self).copy()

    @property
    def amplified_suffix(self) -> str:
        """What the name of a function ends in that knows channels that amplify."""
        return "_amplified" if self.amplifies else ""


def convolution_shape(
    attributes: "Convolution", inputs: tuple[Tensor, ...], output: Tensor
) -> ConvolutionShape:
    """The constants of a layer."""
    in_height, in_width, in_channels = inputs[0].shape
    out_height, out_width, out_channels = output.shape
    window = attributes.window
    return ConvolutionShape(
        title=attributes.title(inputs[0].shape),
        in_height=in_height,
        in_width=in_width,
        in_channels=in_channels,
        out_height=out_height,
        out_width=out_width,
        out_channels=out_channels,
        out_pixels=out_height * out_width,
        kernel_height=window.height,
        kernel_width=window.width,
        stride_y=window.stride[0],
        stride_x=window.stride[1],
        pad_top=window.padding[0],
        pad_left=window.padding[1],
        dilation_y=window.dilation[0],
        dilation_x=window.dilation[1],
        groups=attributes.groups,
        pointwise=window.is_pointwise,
        offsets=attributes.weight_offsets is not None,
        amplifies=_amplifies(attributes, inputs, output),
    )


def _amplifies(attributes: "Convolution", inputs: tuple[Tensor, ...], output: Tensor) -> bool:
    """Whether the kernel has to know channels that amplify."""
    known = tuple(t.quantisation for t in inputs if t.quantisation is not None)
    if output.quantisation is None or len(known) < len(inputs):
        return False
    return attributes.amplifies(known, output.quantisation)


def convolution_arrays(weights: int, out_channels: int) -> tuple[ArrayShape, ...]:
    """So many weights of one byte each, then bias and multiplier of each channel."""
    return (
        ArrayShape("weights", "int8_t", aligned(weights)),
        ArrayShape("channels", CHANNEL_CONSTANTS.name, out_channels * _BYTES_PER_CHANNEL),
    )


def _offsets(attributes: "Convolution") -> tuple[ArrayShape, ...]:
    if attributes.weight_offsets is None:
        return ()
    return (ArrayShape("weight_offsets", "int32_t", attributes.out_channels * _BYTES_PER_OFFSET),)


def variant_name(core: str, attributes: "Convolution") -> str:
    """What the listing calls the kernel: low-bit weights are part of it."""
    return core if attributes.weight_bits == FULL_WIDTH else f"{core} {attributes.weight_bits}-bit"


def width_suffix(attributes: "Convolution") -> str:
    """What the name of the function of a layer with low-bit weights ends in."""
    return "" if attributes.weight_bits == FULL_WIDTH else f"_w{attributes.weight_bits}"


def pack_convolution(
    integers: "ConvolutionIntegers", packed: Packing | None = None
) -> LayerConstants:
    """Weights in output-channel order, rows of the patch contiguous."""
    weights = packed.pack(integers.weights) if packed else integers.weights.reshape(-1)
    constants = convolution_constants(integers, weights)
    if integers.weight_offsets is None:
        return constants
    arrays = {**constants.arrays, "weight_offsets": integers.weight_offsets}
    return LayerConstants(arrays, constants.fields)


def convolution_constants(
    integers: "ConvolutionIntegers", weights: NDArray[np.int8]
) -> LayerConstants:
    """The constants of a layer whose weights lie in a kernel's order."""
    values = {"padding_value": integers.padding_value, "scaling": integers.scaling}
    sums = {} if integers.residual is None else {"sum": integers.residual}
    return LayerConstants(
        {"weights": weights, "channels": _interleaved(integers)},
        PARAMETERS.constants({**values, **sums}),
    )


def _interleaved(integers: "ConvolutionIntegers") -> NDArray[np.int32]:
    """Bias and multiplier of each channel side by side: `channel_constants`."""
    bias = integers.bias
    multipliers = np.broadcast_to(integers.scaling.multipliers, bias.shape)
    return np.stack([bias, multipliers], axis=1).reshape(-1)


def _function_name(kind: str, shape: ConvolutionShape, attributes: "Convolution") -> str:
    """A name that tells the shape; equal shapes share one function."""
    k = shape
    name = (
        f"{kind}_{k.kernel_height}x{k.kernel_width}_{k.in_height}x{k.in_width}"
        f"x{k.in_channels}_to_{k.out_height}x{k.out_width}x{k.out_channels}"
    )
    extras = (
        ("s", (k.stride_y, k.stride_x), (1, 1)),
        ("p", (k.pad_top, k.pad_left), (0, 0)),
        ("d", (k.dilation_y, k.dilation_x), (1, 1)),
    )
    for letter, values, usual in extras:
        if values != usual:
            name += f"_{letter}{values[0]}x{values[1]}"
    if kind == "convolution" and k.groups != 1:
        name += f"_g{k.groups}"
    if k.offsets:
        name += "_offset"
    return name + ("_add" if attributes.adds else "") + k.amplified_suffix

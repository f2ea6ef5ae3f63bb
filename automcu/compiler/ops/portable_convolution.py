"""Convolution in portable C: gather a pixel's window, then one dot product a channel."""

from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernel import ArrayShape, Kernel, LayerConstants, aligned
from automcu.compiler.lowering import Integers
from automcu.compiler.memory_work import (
    copies,
    copy_code,
    flash_reads,
    window_class,
)
from automcu.compiler.ops import Convolution
from automcu.compiler.ops.convolution import ConvolutionIntegers, amplifies
from automcu.compiler.ops.pool import pixel_counts
from automcu.compiler.parameters import (
    add_fields,
    initialiser,
    interleave,
    requantisation_fields,
)
from automcu.compiler.shapes import operator_macs, operator_title
from automcu.compiler.weight_packing import FULL_WIDTH, Packing, packing

_BYTES_PER_CHANNEL = 8  # channel_constants: bias and multiplier
_BYTES_PER_OFFSET = 4
_CHANNEL_BLOCK = 4  # output channels that share one load of the input


def portable_convolution(operator: Operator, graph: Graph) -> Kernel:
    """The portable kernel of a convolution."""
    attributes = _attributes(operator)
    settings = convolution_settings(operator, graph)
    in_channels, out_channels = int(settings["in_channels"]), attributes.out_channels
    if attributes.groups == in_channels and attributes.groups > 1:
        return _depthwise(operator, graph, settings)
    depth = attributes.window.height * attributes.window.width * in_channels // attributes.groups
    one_pixel = settings["in_height"] == settings["in_width"] == 1
    shrinks = attributes.window.is_pointwise and out_channels <= in_channels and not one_pixel
    gathers = attributes.groups > 1 or shrinks or not attributes.window.is_pointwise
    residual = attributes.sum_scale is not None
    patch = attributes.window.height * attributes.window.width * in_channels
    # A pointwise layer that does not widen may write over what it has already gathered.
    overwrites = ((0,) if shrinks else ()) + ((1,) if residual else ())
    block = _CHANNEL_BLOCK if attributes.groups == 1 and out_channels % _CHANNEL_BLOCK == 0 else 1
    packed = packing(attributes.weight_bits, out_channels * depth, out_channels // block)
    unpacked = packed.unpacked_bytes if packed else 0
    return Kernel(
        variant=variant_name("portable", attributes),
        function=_function_name("convolution", settings, residual) + width_suffix(attributes),
        template="convolution.c.j2",
        settings=settings
        | {"gathers": gathers, "depth": depth, "block": block, "residual": residual}
        | (packed.settings(scratch_offset=0) if packed else {}),
        parameters_type="convolution_parameters",
        arrays=convolution_arrays(
            packed.packed_bytes if packed else out_channels * depth, out_channels
        )
        + _offsets(attributes),
        pack=partial(pack_convolution, packed=packed),
        scratch_bytes=unpacked + (patch if gathers else 0),
        overwrites=overwrites,
        work=_products(attributes, settings, block, operator_macs(operator, graph))
        | (_gathering(attributes, settings) if gathers else {})
        | (packed.work(int(settings["out_pixels"])) if packed else {})
        | flash_reads(
            packed.packed_bytes if packed else out_channels * depth, int(settings["out_pixels"])
        ),
        code=_code(attributes, settings, block, gathers)
        | ({"unpack/drivers": 1} if packed else {}),
    )


def _loops(attributes: Convolution, block: int) -> str:
    """Which of the template's inner loops a kernel has."""
    return "grouped" if attributes.groups > 1 else f"block{block}"


def _products(
    attributes: Convolution, settings: dict[str, int | str | bool], block: int, macs: int
) -> dict[str, int]:
    """Work of the loops over channels and taps."""
    pixels = int(settings["out_pixels"])
    outputs = pixels * attributes.out_channels
    loops = _loops(attributes, block)
    positions = attributes.window.height * attributes.window.width if attributes.groups > 1 else 1
    work = {
        "pixels": pixels,
        "outputs": outputs,
        f"sums_{loops}": outputs // block * positions,
        f"macs_{loops}": macs,
    }
    if attributes.sum_scale is not None:
        work["added"] = outputs
    if settings["amplifies"]:
        work["amplified"] = outputs
    if attributes.weight_offsets is not None:
        work["offset_macs" if attributes.groups > 1 else "summed"] = (
            macs if attributes.groups > 1 else macs // attributes.out_channels
        )
    return work


def _gathering(attributes: Convolution, settings: dict[str, int | str | bool]) -> dict[str, int]:
    """Work of copying a pixel, or the pixels of its window."""
    pixels, channels = int(settings["out_pixels"]), int(settings["in_channels"])
    window = attributes.window
    if window.is_pointwise:
        return copies(pixels, channels)
    taps = pixels * window.height * window.width
    return {"tap_rows": pixels * window.height, "taps": taps} | copies(taps, channels)


def _code(
    attributes: Convolution, settings: dict[str, int | str | bool], block: int, gathers: bool
) -> dict[str, int]:
    """What the code has, and what of it is there for each of the block's channels."""
    code = {_loops(attributes, block): 1}
    if gathers and attributes.window.is_pointwise:
        code |= copy_code(int(settings["in_channels"]))
    elif gathers:
        code |= {"windows": 1} | copy_code(int(settings["in_channels"]))
    if attributes.weight_offsets is not None:
        code |= {"offsets": 1, "offset_channels": block}
    if attributes.sum_scale is not None:
        code["added_channels"] = block
    if settings["amplifies"]:
        code["amplified_channels"] = block
    if int(settings["out_pixels"]) > 1:
        code["pixel_loops"] = 1
    return code


def _depthwise(operator: Operator, graph: Graph, settings: dict[str, int | str | bool]) -> Kernel:
    attributes = _attributes(operator)
    depth = attributes.window.height * attributes.window.width
    residual = attributes.sum_scale is not None
    in_channels = int(settings["in_channels"])
    per_pixel_in_place = attributes.window.is_pointwise and attributes.out_channels == in_channels
    return Kernel(
        variant="portable",
        function=_function_name("depthwise", settings, residual),
        template="depthwise.c.j2",
        settings=settings
        | {
            "depth": depth,
            "residual": residual,
            "multiplier": attributes.out_channels // in_channels,
            "single_tap": depth == 1,
            "cut": depth > 1 and any(attributes.window.padding),
        },
        parameters_type="convolution_parameters",
        arrays=convolution_arrays(attributes.out_channels * depth, attributes.out_channels)
        + _offsets(attributes),
        pack=pack_convolution,
        overwrites=((0,) if per_pixel_in_place else ()) + ((1,) if residual else ()),
        work=_depthwise_work(attributes, settings),
        code={
            "offsets": int(attributes.weight_offsets is not None),
            "added": int(residual),
            "amplified": int(bool(settings["amplifies"])),
            "column_loops": int(attributes.window.width > 1),
            "row_loops": int(attributes.window.height > 1),
        },
    )


def _depthwise_work(
    attributes: Convolution, settings: dict[str, int | str | bool]
) -> dict[str, int]:
    """Work by loop, from pixels to taps; those outside the image are tested all the same."""
    window, channels = attributes.window, attributes.out_channels
    outputs = int(settings["out_pixels"]) * channels
    covered = pixel_counts(window, int(settings["in_height"]), int(settings["in_width"])).sum()
    work = {
        "pixels": int(settings["out_pixels"]),
    }
    taps = outputs * window.height * window.width
    kind = window_class(window, int(settings["out_height"]))
    work |= {
        f"outputs_{kind}": outputs,
        f"tap_rows_{kind}": outputs * window.height,
        f"taps_{kind}": taps,
        f"covered_{kind}": int(covered) * channels,
    }
    if attributes.weight_offsets is not None:
        work["offset_taps"] = taps
    if attributes.sum_scale is not None:
        work["added"] = outputs
    if settings["amplifies"]:
        work["amplified"] = outputs
    if channels > int(settings["in_channels"]):
        work["divided"] = taps
    return work | flash_reads(channels * window.height * window.width, int(settings["out_pixels"]))


def convolution_settings(operator: Operator, graph: Graph) -> dict[str, int | str | bool]:
    """The shape constants that every convolution template needs."""
    attributes = _attributes(operator)
    in_height, in_width, in_channels = graph.tensors[operator.inputs[0]].shape
    out_height, out_width, out_channels = graph.tensors[operator.output].shape
    window = attributes.window
    return {
        "title": operator_title(operator, graph),
        "in_height": in_height,
        "in_width": in_width,
        "in_channels": in_channels,
        "out_height": out_height,
        "out_width": out_width,
        "out_channels": out_channels,
        "out_pixels": out_height * out_width,
        "kernel_height": window.height,
        "kernel_width": window.width,
        "stride_y": window.stride[0],
        "stride_x": window.stride[1],
        "pad_top": window.padding[0],
        "pad_left": window.padding[1],
        "dilation_y": window.dilation[0],
        "dilation_x": window.dilation[1],
        "groups": attributes.groups,
        "pointwise": window.is_pointwise,
        "offsets": attributes.weight_offsets is not None,
        "amplifies": _amplifies(operator, graph),
    }


def _amplifies(operator: Operator, graph: Graph) -> bool:
    """Whether the kernel has to know channels that amplify."""
    result, *sources = (
        graph.tensors[name].quantisation for name in (operator.output, *operator.inputs)
    )
    known = tuple(source for source in sources if source is not None)
    if result is None or len(known) < len(sources):
        return False
    return amplifies(_attributes(operator), known, result)


def amplified_suffix(settings: Mapping[str, object]) -> str:
    """What the name of a function ends in that knows channels that amplify."""
    return "_amplified" if settings["amplifies"] else ""


def convolution_arrays(weights: int, out_channels: int) -> tuple[ArrayShape, ...]:
    """So many weights of one byte each, then bias and multiplier of each channel."""
    return (
        ArrayShape("weights", "int8_t", aligned(weights)),
        ArrayShape("channels", "channel_constants", out_channels * _BYTES_PER_CHANNEL),
    )


def _offsets(attributes: Convolution) -> tuple[ArrayShape, ...]:
    if attributes.weight_offsets is None:
        return ()
    return (ArrayShape("weight_offsets", "int32_t", attributes.out_channels * _BYTES_PER_OFFSET),)


def variant_name(core: str, attributes: Convolution) -> str:
    """What the listing calls the kernel: narrow weights are part of it."""
    return core if attributes.weight_bits == FULL_WIDTH else f"{core} {attributes.weight_bits}-bit"


def width_suffix(attributes: Convolution) -> str:
    """What the name of a narrow layer's function ends in."""
    return "" if attributes.weight_bits == FULL_WIDTH else f"_w{attributes.weight_bits}"


def pack_convolution(
    operator: Operator, graph: Graph, integers: Integers, packed: Packing | None = None
) -> LayerConstants:
    """Weights in output-channel order, rows of the patch contiguous."""
    if not isinstance(integers, ConvolutionIntegers):
        raise TypeError(f"{operator.name} is not a convolution")
    arrays: dict[str, NDArray[np.generic]] = {
        "weights": packed.pack(integers.weights) if packed else integers.weights.reshape(-1),
        "channels": interleave(integers.bias, integers.scaling.multipliers),
    }
    if integers.weight_offsets is not None:
        arrays["weight_offsets"] = integers.weight_offsets
    return LayerConstants(arrays, convolution_fields(integers))


def convolution_fields(integers: ConvolutionIntegers) -> dict[str, str]:
    """Fields of `convolution_parameters` besides its arrays."""
    fields = {
        "padding_value": str(integers.padding_value),
        "scaling": requantisation_fields(integers.scaling),
    }
    if integers.residual is not None:
        fields["sum"] = initialiser(add_fields(integers.residual))
    return fields


def _function_name(kind: str, settings: dict[str, int | str | bool], residual: bool) -> str:
    """A name that tells the shape; equal shapes share one function."""
    k = settings
    name = (
        f"{kind}_{k['kernel_height']}x{k['kernel_width']}_{k['in_height']}x{k['in_width']}"
        f"x{k['in_channels']}_to_{k['out_height']}x{k['out_width']}x{k['out_channels']}"
    )
    extras = (
        ("s", (k["stride_y"], k["stride_x"]), (1, 1)),
        ("p", (k["pad_top"], k["pad_left"]), (0, 0)),
        ("d", (k["dilation_y"], k["dilation_x"]), (1, 1)),
    )
    for letter, values, usual in extras:
        if values != usual:
            name += f"_{letter}{values[0]}x{values[1]}"
    if kind == "convolution" and k["groups"] != 1:
        name += f"_g{k['groups']}"
    if k["offsets"]:
        name += "_offset"
    return name + ("_add" if residual else "") + amplified_suffix(settings)


def _attributes(operator: Operator) -> Convolution:
    if not isinstance(operator.attributes, Convolution):
        raise TypeError(f"{operator.name} is not a convolution")
    return operator.attributes


__all__ = [
    "amplified_suffix",
    "convolution_arrays",
    "convolution_fields",
    "convolution_settings",
    "pack_convolution",
    "portable_convolution",
    "variant_name",
    "width_suffix",
]

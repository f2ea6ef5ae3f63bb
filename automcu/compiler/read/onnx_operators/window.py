"""The window of a Conv or pool, with all its ONNX attributes resolved to numbers."""

from automcu.compiler.ops.windows import Window
from automcu.compiler.read.activation import Activation
from automcu.compiler.read.layers import SpatialAxes
from automcu.compiler.read.onnx_operators.node import Node
from automcu.compiler.read.padding import same_padding

_LARGEST = 1 << 12  # of a kernel, stride, dilation or padding


def spatial_window(node: Node, source: Activation, axes: SpatialAxes, kernel: list[int]) -> Window:
    """The window of a node on `source`; a 1-D layer is a 2-D layer of height 1."""
    settings = node.settings
    rank = len(kernel)
    strides = list(settings.get("strides", [1] * rank))
    dilations = list(settings.get("dilations", [1] * rank))
    pads = list(settings.get("pads", [0] * 2 * rank))
    lengths = [source.view.shape[axis] for axis in (axes.height, axes.width) if axis is not None]
    given = (kernel, strides, dilations, lengths)
    if any(len(values) != rank for values in given) or len(pads) != 2 * rank:
        raise ValueError(f"a window of {kernel} on an input with {len(lengths)} sizes")
    if min(kernel + strides + dilations) < 1 or min(pads) < 0:
        raise ValueError(f"window {kernel}, strides {strides}, pads {pads}")
    if max(kernel + strides + dilations + pads) > _LARGEST:
        raise ValueError(f"window {kernel}, strides {strides}, pads {pads}")
    automatic = node.word("auto_pad", "NOTSET")
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        pads = same_padding(lengths, kernel, strides, dilations, automatic == "SAME_UPPER")
    if settings.get("ceil_mode", 0):
        pads = _ceil_padding(lengths, kernel, strides, dilations, pads)
    if rank == 1:
        kernel, strides, dilations = [1, *kernel], [1, *strides], [1, *dilations]
        pads = [0, pads[0], 0, pads[1]]
    return Window(
        kernel[0],
        kernel[1],
        (strides[0], strides[1]),
        (pads[0], pads[1], pads[2], pads[3]),
        (dilations[0], dilations[1]),
    )


def _ceil_padding(
    lengths: list[int],
    kernel: list[int],
    strides: list[int],
    dilations: list[int],
    pads: list[int],
) -> list[int]:
    """Padding at the end that makes rounding up the output size the same as rounding down."""
    rank = len(kernel)
    ends = []
    for axis, (length, size, stride, dilation) in enumerate(
        zip(lengths, kernel, strides, dilations, strict=True)
    ):
        reach = dilation * (size - 1) + 1
        missing = -(length + pads[axis] + pads[axis + rank] - reach) % stride
        # A last window that would start in the padding is dropped (the rule of ONNX and torch).
        starts = (length + pads[axis] + pads[axis + rank] - reach + missing) // stride * stride
        ends.append(pads[axis + rank] + (missing if starts < length + pads[axis] else 0))
    return [*pads[:rank], *ends]

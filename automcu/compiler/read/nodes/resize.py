"""Nearest-neighbour resizing by whole factors, which is repeating or skipping."""

from dataclasses import replace
from math import ceil, floor

from automcu.compiler.read.builder import Activation, GraphBuilder
from automcu.compiler.read.content import MOST_ELEMENTS
from automcu.compiler.read.node import ImportContext, Node, reader
from automcu.compiler.read.nodes.movement import repeat, slice_axis
from automcu.compiler.read.view import positive_axis
from automcu.errors import UnsupportedModelError

_EVENLY = (
    "Use the coordinate_transformation_mode 'asymmetric' and the nearest_mode 'floor', "
    "in Keras resize without align_corners."
)


@reader("Resize", "Upsample")
def _resize(node: Node, context: ImportContext) -> None:
    """By ONNX's rules, or by those of another format, which then states the `indices`."""
    source = result = context.activation(node)
    indices = node.settings.get("indices") or _source_indices(node, context, source.view.shape)
    for axis, chosen in enumerate(indices):
        result = _by_whole_factor(context.builder, node.layer, result, axis, chosen)
    context.set_output(node, replace(result, layer=node.layer, step="resize nearest"))


def _source_indices(node: Node, context: ImportContext, shape: tuple[int, ...]) -> list[list[int]]:
    """For each axis, the input indices in output order.

    Raises:
        UnsupportedModelError: it interpolates, or its coordinates are of a kind we do not know.
    """
    mode = node.word("mode", "nearest")
    if mode != "nearest":
        raise UnsupportedModelError(
            f"layer {node.layer} resizes by '{mode}' interpolation. Resize by 'nearest'."
        )
    sizes, scales = _sizes_and_scales(node, context, shape)
    return [
        [_source(node, index, size, result, scale) for index in range(result)]
        for size, result, scale in zip(shape, sizes, scales, strict=True)
    ]


def _sizes_and_scales(
    node: Node, context: ImportContext, shape: tuple[int, ...]
) -> tuple[list[int], list[float]]:
    is_resize = node.kind == "Resize" and (len(node.inputs) > 2 or context.opset > 10)
    given_scales = context.reals(node, 2 if is_resize else 1, "scales")
    axes = list(range(len(shape)))
    if "axes" in node.settings:
        axes = [positive_axis(int(axis), len(shape)) for axis in node.settings["axes"]]
    sizes, scales = list(shape), [1.0] * len(shape)
    if given_scales is not None and given_scales.size:
        for axis, scale in zip(axes, given_scales.reshape(-1), strict=True):
            scales[axis], sizes[axis] = float(scale), floor(shape[axis] * float(scale))
    else:
        given_sizes = context.integers(node, 3, "sizes") or ()
        for axis, size in zip(axes, given_sizes, strict=True):
            scales[axis], sizes[axis] = size / shape[axis], size
    if any(not 1 <= size <= MOST_ELEMENTS for size in sizes):
        raise ValueError(f"a resize of {shape} to {sizes}")
    return sizes, scales


def _source(node: Node, index: int, size: int, result: int, scale: float) -> int:
    if size == result:
        return index
    kind = node.word("coordinate_transformation_mode", "half_pixel")
    if node.kind == "Upsample":
        kind = "asymmetric"
    if kind in ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel"):
        place = (index + 0.5) / scale - 0.5
        if kind == "pytorch_half_pixel" and result == 1:
            place = 0.0
    elif kind == "asymmetric":
        place = index / scale
    elif kind == "align_corners":
        place = index * (size - 1) / (result - 1) if result > 1 else 0.0
    else:
        raise UnsupportedModelError(
            f"layer {node.layer} resizes with coordinates '{kind}'. Use 'asymmetric'."
        )
    rounding = node.word("nearest_mode", "round_prefer_floor")
    if node.kind == "Upsample":
        rounding = "floor"
    nearest = {
        "round_prefer_floor": ceil(place - 0.5),
        "round_prefer_ceil": floor(place + 0.5),
        "floor": floor(place),
        "ceil": ceil(place),
    }[rounding]
    return min(max(nearest, 0), size - 1)


def _by_whole_factor(
    builder: GraphBuilder, layer: str, source: Activation, axis: int, indices: list[int]
) -> Activation:
    """The values of an axis at these indices, in output order.

    Raises:
        UnsupportedModelError: the indices neither repeat each value alike nor skip alike.
    """
    size, count = source.view.shape[axis], len(indices)
    factor = count // size
    if factor and indices == [index // factor for index in range(size * factor)]:
        return repeat(layer, source, axis, factor) if factor > 1 else source
    step = indices[1] - indices[0] if count > 1 else 1
    if count % size == 0:
        raise UnsupportedModelError(
            f"layer {layer} resizes {size} to {count}, but repeats some values more often than "
            f"others. {_EVENLY}"
        )
    if step < 1 or indices != [indices[0] + index * step for index in range(count)]:
        raise UnsupportedModelError(
            f"layer {layer} resizes {size} to {count}, which is not by a whole number. "
            "Resize by a whole factor."
        )
    chosen = range(indices[0], indices[0] + step * count, step)
    return slice_axis(builder, layer, source, axis, chosen)

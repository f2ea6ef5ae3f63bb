"""Which input index each output index of a nearest-neighbour Resize takes."""

from math import ceil, floor

from automcu.compiler.read.builder import MOST_ELEMENTS
from automcu.compiler.read.onnx_operators.node import Node, Reading, positive_axis
from automcu.errors import UnsupportedModelError


def source_indices(node: Node, reading: Reading, shape: tuple[int, ...]) -> list[list[int]]:
    """For each axis, the input indices in output order.

    Raises:
        UnsupportedModelError: it interpolates, or its coordinates are of a kind we do not know.
    """
    mode = node.word("mode", "nearest")
    if mode != "nearest":
        raise UnsupportedModelError(
            f"layer {node.layer} resizes by '{mode}' interpolation. Resize by 'nearest'."
        )
    sizes, scales = _sizes_and_scales(node, reading, shape)
    return [
        [_source(node, index, size, result, scale) for index in range(result)]
        for size, result, scale in zip(shape, sizes, scales, strict=True)
    ]


def _sizes_and_scales(
    node: Node, reading: Reading, shape: tuple[int, ...]
) -> tuple[list[int], list[float]]:
    is_resize = node.kind == "Resize" and (len(node.inputs) > 2 or reading.opset > 10)
    given_scales = reading.reals(node, 2 if is_resize else 1, "scales")
    axes = list(range(len(shape)))
    if "axes" in node.settings:
        axes = [positive_axis(int(axis), len(shape)) for axis in node.settings["axes"]]
    sizes, scales = list(shape), [1.0] * len(shape)
    if given_scales is not None and given_scales.size:
        for axis, scale in zip(axes, given_scales.reshape(-1), strict=True):
            scales[axis], sizes[axis] = float(scale), floor(shape[axis] * float(scale))
    else:
        given_sizes = reading.integers(node, 3, "sizes") or ()
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

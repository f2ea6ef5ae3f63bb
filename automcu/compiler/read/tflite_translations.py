"""TFLite's layers, translated into the nodes that ONNX has.

A translation yields the nodes of one layer. They are read as they come, so it may ask for the
shape of what the nodes before have computed. Layers are channels-last, state the scale of their
results and clamp them; padding is by name, and a bias is in steps that its inputs give.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import floor, inf, prod
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

from automcu.compiler.read.builder import Constant
from automcu.compiler.read.file_tensor import MOST_ELEMENTS, positive_axis
from automcu.compiler.read.node import Node
from automcu.compiler.read.tflite_layers import Layer, TensorRecord
from automcu.compiler.tensor import NO_CLAMP
from automcu.errors import UnsupportedModelError

_FULL_INTEGER = (
    "Convert the model with full integer quantisation (TFLITE_BUILTINS_INT8, a representative "
    "dataset)."
)
_BIAS_TOLERANCE = 0.02  # steps of the result
_LARGEST_BLOCK = 1 << 12

Translation = Callable[[Layer], Iterator[Node]]
TRANSLATIONS: dict[str, Translation] = {}


def _blocks(layer: Layer) -> Mapping[str, Any]:
    return {"blocksize": int(layer.setting("BlockSize", 1)), "channels_last": True}


# The layers that one node of one input is, and what its attributes are.
_SINGLE_NODES: dict[str, tuple[str, Callable[[Layer], Mapping[str, Any]]]] = {
    "ABS": ("Abs", lambda layer: {}),
    "ELU": ("Elu", lambda layer: {}),
    "EXP": ("Exp", lambda layer: {}),
    "EXPAND_DIMS": ("Unsqueeze", lambda layer: {"axes": layer.integers(1)}),
    "GELU": (
        "Gelu",
        lambda layer: {"approximate": b"tanh" if layer.setting("Approximate") else b"none"},
    ),
    "HARD_SWISH": ("HardSwish", lambda layer: {}),
    "LEAKY_RELU": ("LeakyRelu", lambda layer: {"alpha": float(layer.setting("Alpha"))}),
    "LOG": ("Log", lambda layer: {}),
    "LOGISTIC": ("Sigmoid", lambda layer: {}),
    "NEG": ("Neg", lambda layer: {}),
    "QUANTIZE": ("Identity", lambda layer: {}),
    "RELU": ("Relu", lambda layer: {}),
    "RELU6": ("Relu", lambda layer: {"max": 6.0}),
    "RELU_0_TO_1": ("Relu", lambda layer: {"max": 1.0}),
    "RELU_N1_TO_1": ("Relu", lambda layer: {"min": -1.0, "max": 1.0}),
    "RSQRT": ("RSQRT", lambda layer: {}),
    "SQRT": ("Sqrt", lambda layer: {}),
    "SQUARE": ("SQUARE", lambda layer: {}),
    "TANH": ("Tanh", lambda layer: {}),
    "TILE": ("Tile", lambda layer: {"repeats": layer.integers(1)}),
    "TRANSPOSE": ("Transpose", lambda layer: {"perm": layer.integers(1)}),
    "DEPTH_TO_SPACE": ("DepthToSpace", _blocks),
    "SPACE_TO_DEPTH": ("SpaceToDepth", _blocks),
}


def translation(*kinds: str) -> Callable[[Translation], Translation]:
    """Register a function as the translation of these kinds of layers."""

    def register(function: Translation) -> Translation:
        TRANSLATIONS.update(dict.fromkeys(kinds, function))
        return function

    return register


@translation(*_SINGLE_NODES)
def _single_node(layer: Layer) -> Iterator[Node]:
    kind, settings = _SINGLE_NODES[layer.record.kind]
    yield layer.last_node(kind, [layer.computed()], settings(layer))


@translation("CONV_2D")
def _convolution(layer: Layer) -> Iterator[Node]:
    weights, source = _weights(layer, 0), _image(layer)
    _, height, width, per_group = weights.values.shape
    groups, rest = divmod(layer.shape(source)[3], per_group)
    if rest:
        raise ValueError(f"{per_group} weights on {layer.shape(source)[3]} channels")
    yield _convolution_node(layer, source, weights, (height, width), groups)


@translation("DEPTHWISE_CONV_2D")
def _depthwise(layer: Layer) -> Iterator[Node]:
    weights, source = _weights(layer, 3), _image(layer)
    one, height, width, _ = weights.values.shape
    if one != 1:
        raise ValueError(f"weights of shape {weights.values.shape}")
    by_channel = weights.transposed((3, 1, 2, 0))
    groups = layer.shape(source)[3]
    yield _convolution_node(layer, source, by_channel, (height, width), groups)


def _convolution_node(
    layer: Layer, source: str, weights: Constant, size: tuple[int, int], groups: int
) -> Node:
    """Weights are [out, kernel height, kernel width, in / groups]."""
    constants = layer.context.builder.constants
    names = [source, layer.part("weights"), layer.part("bias")]
    constants[names[1]], constants[names[2]] = weights, _bias(layer, source, weights)
    dilations = layer.setting("DilationHFactor", 1), layer.setting("DilationWFactor", 1)
    settings = {"group": groups, "dilations": dilations, **_window(layer)}
    return layer.computing_node("Conv", names, settings, layer.clamp())


@translation("FULLY_CONNECTED")
def _fully_connected(layer: Layer) -> Iterator[Node]:
    if layer.setting("WeightsFormat"):
        raise UnsupportedModelError(
            f"layer {layer.name} has shuffled weights. Convert the model again without them."
        )
    weights = _weights(layer, 0)
    if weights.values.ndim != 2:
        raise ValueError(f"weights of {weights.values.ndim} axes")
    source = layer.computed()
    features = weights.values.shape[1]
    if layer.shape(source)[-1:] != (features,) or not layer.setting("KeepNumDims"):
        rows = layer.part("rows")
        yield layer.node("Reshape", [source], {"shape": (-1, features)}, (rows,))
        source = rows
    bias = layer.part("bias")
    layer.context.builder.constants[bias] = _bias(layer, source, weights)
    names = [source, str(layer.record.inputs[1]), bias]
    yield layer.computing_node("Gemm", names, {"transB": 1}, layer.clamp())


@translation("AVERAGE_POOL_2D")
def _average_pool(layer: Layer) -> Iterator[Node]:
    settings = {"raw_halves": True, **_pool_window(layer)}
    yield layer.computing_node("AveragePool", [_image(layer)], settings, layer.clamp())


@translation("MAX_POOL_2D")
def _max_pool(layer: Layer) -> Iterator[Node]:
    source, settings, clamp = _image(layer), _pool_window(layer), layer.clamp()
    if clamp == NO_CLAMP:
        yield layer.last_node("MaxPool", [source], settings)
    else:
        pooled = layer.part("pool")
        yield layer.node("MaxPool", [source], settings, (pooled,))
        yield layer.last_node("Clip", [pooled], {"min": clamp[0], "max": clamp[1]})


@translation("MEAN", "REDUCE_MAX")
def _reduction(layer: Layer) -> Iterator[Node]:
    source = layer.computed()
    settings = {
        "axes": layer.integers(1),
        "keepdims": bool(layer.setting("KeepDims")),
        "noop_with_empty_axes": True,
    }
    if layer.record.kind == "MEAN":
        yield layer.computing_node("ReduceMean", [source], settings)
    else:
        yield layer.last_node("ReduceMax", [source], settings)


@translation("SOFTMAX")
def _softmax(layer: Layer) -> Iterator[Node]:
    source, beta = layer.computed(), float(layer.setting("Beta", 1.0))
    if not 0 < beta < inf:
        raise ValueError(f"a beta of {beta}")
    yield layer.computing_node("Softmax", [source], {"beta": beta})


@translation("ADD", "SUB", "MUL", "DIV")
def _arithmetic(layer: Layer) -> Iterator[Node]:
    kind, names = layer.record.kind.capitalize(), _operands(layer)
    if kind == "Div" and not layer.is_constant(1):  # a table, so that its scale can come later
        yield layer.last_node(kind, names, clamp=layer.clamp())
    else:
        yield layer.computing_node(kind, names, {}, layer.clamp())


@translation("MINIMUM", "MAXIMUM")
def _limit(layer: Layer) -> Iterator[Node]:
    kind = "Min" if layer.record.kind == "MINIMUM" else "Max"
    yield layer.last_node(kind, _operands(layer))


@translation("PRELU")
def _parametric_relu(layer: Layer) -> Iterator[Node]:
    layer.constant(1)
    yield layer.last_node("PRelu", [layer.computed(), layer.operand(1)])


@translation("DEQUANTIZE")
def _dequantize(layer: Layer) -> Iterator[Node]:
    if layer.is_constant(0):
        raise UnsupportedModelError(
            f"layer {layer.name} turns weights into floating point. {_FULL_INTEGER}"
        )
    yield layer.node("Identity", [layer.computed()], {}, (str(layer.record.outputs[0]),))


@translation("RESHAPE")
def _reshape(layer: Layer) -> Iterator[Node]:
    shape, options = layer.model.tensors[layer.record.outputs[0]].shape, layer.record.options
    if layer.record.has_input(1):
        shape = layer.integers(1)
    elif options is not None and options.NewShapeLength():
        shape = tuple(int(size) for size in options.NewShapeAsNumpy())
    yield layer.last_node("Reshape", [layer.computed()], {"shape": shape, "allowzero": True})


@translation("SQUEEZE")
def _squeeze(layer: Layer) -> Iterator[Node]:
    options, settings = layer.record.options, {}
    if options is not None and options.SqueezeDimsLength():
        settings = {"axes": options.SqueezeDimsAsNumpy()}
    yield layer.last_node("Squeeze", [layer.computed()], settings)


@translation("CONCATENATION")
def _concatenate(layer: Layer) -> Iterator[Node]:
    if layer.clamp() != NO_CLAMP:
        raise UnsupportedModelError(
            f"layer {layer.name} joins tensors and clamps them. Put the ReLU before the join."
        )
    sources = [layer.computed(position) for position in range(len(layer.record.inputs))]
    yield layer.computing_node("Concat", sources, {"axis": layer.setting("Axis")})


@translation("PACK")
def _pack(layer: Layer) -> Iterator[Node]:
    parts = [layer.part(str(position)) for position in range(len(layer.record.inputs))]
    axis = layer.setting("Axis")
    for position, part in enumerate(parts):
        yield layer.node("Unsqueeze", [layer.computed(position)], {"axes": (axis,)}, (part,))
    yield layer.computing_node("Concat", parts, {"axis": axis})


@translation("BROADCAST_TO")
def _broadcast(layer: Layer) -> Iterator[Node]:
    source, shape = layer.computed(), layer.integers(1)
    if np.broadcast_shapes(layer.shape(source), shape) != shape:
        raise ValueError(f"{layer.shape(source)} cannot be broadcast to {shape}")
    yield layer.last_node("Expand", [source], {"shape": shape})


@translation("PAD", "PADV2")
def _pad(layer: Layer) -> Iterator[Node]:
    source, widths = layer.computed(), layer.integers(1)
    rank = len(layer.shape(source))
    if len(widths) != 2 * rank or min(widths, default=0) < 0:
        raise ValueError(f"pads {widths} for {rank} axes")
    value = 0.0
    if layer.record.kind == "PADV2":
        value = float(layer.constant(2).real().reshape(()))
    settings = {"pads": (*widths[::2], *widths[1::2]), "value": value}
    yield layer.last_node("Pad", [source], settings)


@translation("SPLIT", "SPLIT_V")
def _split(layer: Layer) -> Iterator[Node]:
    values, where = (1, 0) if layer.record.kind == "SPLIT" else (0, 2)
    source = layer.computed(values)
    (given,) = layer.integers(where)
    axis = positive_axis(given, len(layer.shape(source)))
    number = len(layer.record.outputs)
    sizes = (layer.shape(source)[axis] // number,) * number
    if layer.record.kind == "SPLIT_V":
        sizes = layer.integers(1)
    yield layer.last_node("Split", [source], {"axis": axis, "split": sizes})


@translation("UNPACK")
def _unpack(layer: Layer) -> Iterator[Node]:
    source = layer.computed()
    settings = {"axis": layer.axis(len(layer.shape(source)))}
    for position in range(len(layer.record.outputs)):
        index = layer.part(str(position))
        layer.context.builder.constants[index] = Constant(np.array(position))
        yield layer.last_node("Gather", [source, index], settings, outputs=[position])


@translation("GATHER")
def _gather(layer: Layer) -> Iterator[Node]:
    source = layer.computed()
    if layer.setting("BatchDims"):
        raise UnsupportedModelError(
            f"layer {layer.name} picks other values in each part of a batch. Use a slice."
        )
    axis = layer.axis(len(layer.shape(source)))
    if min(layer.integers(1), default=0) < 0:
        raise ValueError(f"it picks the values {layer.integers(1)}")
    yield layer.last_node("Gather", [source, layer.operand(1)], {"axis": axis})


@translation("SLICE")
def _slice(layer: Layer) -> Iterator[Node]:
    source = layer.computed()
    ranges = []
    for size, first, count in zip(
        layer.shape(source), layer.integers(1), layer.integers(2), strict=True
    ):
        ranges.append(range(first, size if count == -1 else first + count))
        if not 0 <= first < ranges[-1].stop <= size:
            raise ValueError(f"{count} values from {first} of {size}")
    yield layer.last_node("Slice", [source], _sliced(ranges))


@translation("STRIDED_SLICE")
def _strided_slice(layer: Layer) -> Iterator[Node]:
    source = layer.computed()
    begins, ends, steps = (layer.integers(position) for position in (1, 2, 3))
    if layer.setting("EllipsisMask") or layer.setting("NewAxisMask"):
        raise UnsupportedModelError(
            f"layer {layer.name} slices with an ellipsis or a new axis. Name every axis."
        )
    begin_mask, end_mask = layer.setting("BeginMask"), layer.setting("EndMask")
    shrink_mask, shape = layer.setting("ShrinkAxisMask"), layer.shape(source)
    ranges = []
    for axis, (begin, end, step) in enumerate(zip(begins, ends, steps, strict=True)):
        first = None if begin_mask >> axis & 1 else begin
        last = None if end_mask >> axis & 1 else end
        if shrink_mask >> axis & 1:
            place = positive_axis(begin, shape[axis])
            first, last, step = place, place + 1, 1
        ranges.append(range(*slice(first, last, step).indices(shape[axis])))
    sliced, axes = layer.part("slice"), range(len(shape))
    yield layer.node("Slice", [source], _sliced(ranges), (sliced,))
    yield layer.last_node(
        "Squeeze", [sliced], {"axes": [axis for axis in axes if shrink_mask >> axis & 1]}
    )


@translation("REVERSE_V2")
def _reverse(layer: Layer) -> Iterator[Node]:
    source = layer.computed()
    shape = layer.shape(source)
    axes = [positive_axis(axis, len(shape)) for axis in layer.integers(1)]
    settings = _sliced([range(shape[axis])[::-1] for axis in axes])
    yield layer.last_node("Slice", [source], {**settings, "axes": axes})


def _sliced(ranges: Sequence[range]) -> Mapping[str, Any]:
    """The attributes of a slice that leaves these indices of the axes."""
    return {
        "starts": [indices.start for indices in ranges],
        # An end before the first value: further from the end than any size.
        "ends": [i.stop if i.stop >= 0 else -MOST_ELEMENTS - 1 for i in ranges],
        "steps": [indices.step for indices in ranges],
    }


@translation("RESIZE_NEAREST_NEIGHBOR")
def _resize(layer: Layer) -> Iterator[Node]:
    source = _image(layer)
    indices = [list(range(size)) for size in layer.shape(source)]
    for axis, count in zip((1, 2), layer.integers(1), strict=True):
        if not 1 <= count <= MOST_ELEMENTS:
            raise ValueError(f"a resize to {count}")
        size = layer.shape(source)[axis]
        indices[axis] = [_source_index(layer, index, size, count) for index in range(count)]
    yield layer.last_node("Resize", [source], {"indices": indices})


def _source_index(layer: Layer, index: int, size: int, count: int) -> int:
    """The rule of TensorFlow Lite's reference kernel (resize_nearest_neighbor.h)."""
    aligned = bool(layer.setting("AlignCorners")) and count > 1
    scale = (size - 1) / (count - 1) if aligned else size / count
    place = (index + 0.5) * scale if layer.setting("HalfPixelCenters") else index * scale
    nearest = floor(place + 0.5) if aligned else floor(place)
    return min(max(nearest, 0), size - 1)


@translation("SPACE_TO_BATCH_ND")
def _space_to_batch(layer: Layer) -> Iterator[Node]:
    """The phases of an image as a batch of images."""
    source, blocks, widths = _batch_operands(layer)
    rank = len(blocks)
    others = [0] * (len(layer.shape(source)) - rank - 1)
    pads = [0, *widths[::2], *others, 0, *widths[1::2], *others]
    names = [layer.part(name) for name in ("padded", "split", "phases")]
    yield layer.node("Pad", [source], {"pads": pads}, (names[0],))
    batch, *sizes = layer.shape(names[0])
    if any(size % block for size, block in zip(sizes, blocks, strict=False)):
        raise ValueError(f"{sizes} in blocks of {blocks}")
    split: list[int] = [batch]
    for size, block in zip(sizes, blocks, strict=False):
        split += [size // block, block]
    split += sizes[rank:]
    phases = [2 + 2 * axis for axis in range(rank)]
    rest = [axis for axis in range(len(split)) if axis not in phases]
    yield layer.node("Reshape", names[:1], {"shape": split}, (names[1],))
    yield layer.node("Transpose", names[1:2], {"perm": (*phases, *rest)}, (names[2],))
    shape = (batch * prod(blocks), *(split[axis] for axis in rest[1:]))
    yield layer.last_node("Reshape", names[2:], {"shape": shape})


@translation("BATCH_TO_SPACE_ND")
def _batch_to_space(layer: Layer) -> Iterator[Node]:
    """A batch of images as the phases of one."""
    source, blocks, crops = _batch_operands(layer)
    rank = len(blocks)
    batches, *sizes = layer.shape(source)
    if batches % prod(blocks):
        raise ValueError(f"{batches} images in blocks of {blocks}")
    batch = batches // prod(blocks)
    order = [rank]
    for axis in range(rank):
        order += [rank + 1 + axis, axis]
    order += range(2 * rank + 1, rank + 1 + len(sizes))
    joint = [size * block for size, block in zip(sizes, blocks, strict=False)]
    kept = [range(crops[2 * axis], size - crops[2 * axis + 1]) for axis, size in enumerate(joint)]
    if not all(kept):
        raise ValueError(f"{joint} less {crops}")
    names = [layer.part(name) for name in ("phases", "split", "joined")]
    shape = (*blocks, batch, *sizes)
    yield layer.node("Reshape", [source], {"shape": shape}, (names[0],))
    yield layer.node("Transpose", names[:1], {"perm": order}, (names[1],))
    shape = (batch, *joint, *sizes[rank:])
    yield layer.node("Reshape", names[1:2], {"shape": shape}, (names[2],))
    settings = {**_sliced(kept), "axes": range(1, rank + 1)}
    yield layer.last_node("Slice", names[2:], settings)


def _batch_operands(layer: Layer) -> tuple[str, tuple[int, ...], tuple[int, ...]]:
    source, blocks, widths = layer.computed(), layer.integers(1), layer.integers(2)
    shape = layer.shape(source)
    if not all(1 <= block <= _LARGEST_BLOCK for block in blocks) or min(widths, default=0) < 0:
        raise ValueError(f"blocks {blocks} with {widths}")
    if len(widths) != 2 * len(blocks) or len(blocks) >= len(shape):
        raise ValueError(f"blocks {blocks} with {widths} for {shape}")
    return source, blocks, widths


def _image(layer: Layer) -> str:
    name = layer.computed()
    if len(layer.shape(name)) != 4:
        raise ValueError(f"an input of shape {layer.shape(name)}")
    return name


def _operands(layer: Layer) -> list[str]:
    """The names of two inputs, of which one at least is computed."""
    if all(layer.is_constant(position) for position in (0, 1)):
        layer.computed()
    return [layer.operand(position) for position in (0, 1)]


def _pool_window(layer: Layer) -> Mapping[str, Any]:
    size = layer.setting("FilterHeight", 1), layer.setting("FilterWidth", 1)
    return {"kernel_shape": size, **_window(layer)}


def _window(layer: Layer) -> Mapping[str, Any]:
    """The attributes of a window that a convolution and a pool share."""
    padding = layer.setting("Padding")
    return {
        "strides": (layer.setting("StrideH", 1), layer.setting("StrideW", 1)),
        "auto_pad": b"SAME_UPPER" if padding == tflite.Padding.SAME else b"VALID",
        "channels_last": True,
    }


def _weights(layer: Layer, out_axis: int) -> Constant:
    constant = layer.constant(1)
    if constant.scales is None:
        raise UnsupportedModelError(f"layer {layer.name} has float weights. {_FULL_INTEGER}")
    if constant.scales.size > 1 and constant.axis != out_axis:
        raise UnsupportedModelError(
            f"layer {layer.name} has scales along axis {constant.axis}; weights need one scale "
            "per output channel. Convert the model again."
        )
    return constant


def _bias(layer: Layer, source: str, weights: Constant) -> Constant:
    """The real bias; its integers are steps of input scale x weight scale whatever it says."""
    assert weights.scales is not None
    activation = layer.context.builder.activations[source]
    scale = layer.context.builder.quantisation(activation, layer.name).scale
    if not layer.record.has_input(2):
        return Constant(np.zeros(1))
    record = layer.tensor(2)
    if record.data is None or record.data.dtype.kind != "i":
        raise UnsupportedModelError(
            f"layer {layer.name} has a bias that is not int32. Convert the model again."
        )
    _check_bias_scale(layer, record, scale * weights.scales)
    return Constant(record.data.astype(np.float64).reshape(-1) * scale * weights.scales)


def _check_bias_scale(layer: Layer, record: TensorRecord, products: NDArray[np.float64]) -> None:
    """See that a single scale of a bias is what it has to be, as closely as LiteRT asks."""
    if record.scales.size != 1 or np.ptp(products) or not np.any(record.data):
        return
    stated = float(record.scales[0])
    off = abs(products[0] - stated) / layer.quantisation().scale
    if not off <= _BIAS_TOLERANCE:
        raise UnsupportedModelError(
            f"layer {layer.name} has a bias {record.name!r} of the scale {stated:.6g}, where those "
            f"of its input and weights ask for {products[0]:.6g}. Convert the model again."
        )


@translation("SHAPE")
def _shape(layer: Layer) -> Iterator[Node]:
    yield layer.node("Shape", [layer.operand(0)], {}, (str(layer.record.outputs[0]),))

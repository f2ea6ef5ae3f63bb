"""TFLite layers one by one, against LiteRT on the same integers: at most one step apart."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from automcu.compiler import compile_graph, import_tflite
from automcu.mcu import Device
from tests.compiler.read.tflite_writer import TfliteWriter

litert = pytest.importorskip(
    "ai_edge_litert.interpreter", reason="pip install ai-edge-litert to compare with LiteRT"
)

INPUTS = 5
SCALE, ZERO = 0.05, -7
RESULT_SCALE, RESULT_ZERO = 0.04, 5
NOISE = np.random.default_rng(5)
CASES: dict[str, Callable[[], bytes]] = {}


def case(name: str) -> Callable[[Callable[[], bytes]], Callable[[], bytes]]:
    def register(function: Callable[[], bytes]) -> Callable[[], bytes]:
        CASES[name] = function
        return function

    return register


def simple(
    kind: str,
    shape: tuple[int, ...],
    result: tuple[int, ...],
    options: str = "",
    *,
    constants: tuple[np.ndarray, ...] = (),
    constants_first: bool = False,
    keeps_scale: bool = False,
    scale: tuple[float, int] = (RESULT_SCALE, RESULT_ZERO),
    **settings: object,
) -> Callable[[], bytes]:
    """One layer on one activation, with integer constants behind it (or in front)."""

    def write() -> bytes:
        writer = TfliteWriter()
        x = writer.activation(shape, SCALE, ZERO)
        others = [writer.constant(values) for values in constants]
        y = writer.activation(result, *((SCALE, ZERO) if keeps_scale else scale))
        inputs = [*others, x] if constants_first else [x, *others]
        writer.layer(kind, inputs, y, options, **settings)
        return writer.content(x, y)

    return write


def integers(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


IMAGE = (1, 4, 5, 3)
PROBABILITIES = (1 / 256, -128)
SYMMETRIC = (1 / 128, 0)
CASES |= {
    "sigmoid": simple("LOGISTIC", IMAGE, IMAGE, scale=PROBABILITIES),
    "tanh": simple("TANH", IMAGE, IMAGE, scale=SYMMETRIC),
    "hard-swish": simple("HARD_SWISH", IMAGE, IMAGE),
    "leaky relu": simple("LEAKY_RELU", IMAGE, IMAGE, "LeakyReluOptions", Alpha=0.2),
    "elu": simple("ELU", IMAGE, IMAGE),
    "gelu": simple("GELU", IMAGE, IMAGE, "GeluOptions", Approximate=False),
    "gelu by tanh": simple("GELU", IMAGE, IMAGE, "GeluOptions", Approximate=True),
    "relu": simple("RELU", IMAGE, IMAGE),
    "relu6": simple("RELU6", IMAGE, IMAGE, scale=(0.02, -128)),
    "relu between -1 and 1": simple("RELU_N1_TO_1", IMAGE, IMAGE, scale=(0.01, 3)),
    "exponential": simple("EXP", (1, 20), (1, 20)),
    "reverse": simple("REVERSE_V2", IMAGE, IMAGE, constants=(integers(2),), keeps_scale=True),
    "images in a row": simple(
        "MEAN",
        (1, 2, 4, 5, 3),
        (1, 4, 5, 3),
        "ReducerOptions",
        constants=(integers(1),),
        KeepDims=False,
    ),
    "requantise": simple("QUANTIZE", IMAGE, IMAGE),
    "softmax": simple("SOFTMAX", (1, 10), (1, 10), "SoftmaxOptions", Beta=1.0, scale=PROBABILITIES),
    "softmax of pixels": simple(
        "SOFTMAX", IMAGE, IMAGE, "SoftmaxOptions", Beta=0.5, scale=PROBABILITIES
    ),
    "average pool": simple(
        "AVERAGE_POOL_2D",
        (1, 7, 6, 3),
        (1, 4, 3, 3),
        "Pool2DOptions",
        keeps_scale=True,
        Padding=0,
        StrideH=2,
        StrideW=2,
        FilterHeight=3,
        FilterWidth=3,
    ),
    "average pool with relu": simple(
        "AVERAGE_POOL_2D",
        (1, 6, 6, 3),
        (1, 3, 3, 3),
        "Pool2DOptions",
        keeps_scale=True,
        Padding=1,
        StrideH=2,
        StrideW=2,
        FilterHeight=2,
        FilterWidth=2,
        FusedActivationFunction=1,
    ),
    "max pool": simple(
        "MAX_POOL_2D",
        (1, 7, 6, 3),
        (1, 4, 3, 3),
        "Pool2DOptions",
        keeps_scale=True,
        Padding=0,
        StrideH=2,
        StrideW=2,
        FilterHeight=2,
        FilterWidth=2,
    ),
    "max pool with relu6": simple(
        "MAX_POOL_2D",
        (1, 6, 6, 3),
        (1, 3, 3, 3),
        "Pool2DOptions",
        keeps_scale=True,
        StrideH=2,
        StrideW=2,
        FilterHeight=2,
        FilterWidth=2,
        FusedActivationFunction=3,
    ),
    "mean of height and width": simple(
        "MEAN", IMAGE, (1, 3), "ReducerOptions", constants=(integers(1, 2),), KeepDims=False
    ),
    "mean with kept axes": simple(
        "MEAN", IMAGE, (1, 1, 1, 3), "ReducerOptions", constants=(integers(1, 2),), KeepDims=True
    ),
    "mean of channels": simple(
        "MEAN", IMAGE, (1, 4, 5), "ReducerOptions", constants=(integers(-1),), KeepDims=False
    ),
    "maximum of rows": simple(
        "REDUCE_MAX",
        IMAGE,
        (1, 5, 3),
        "ReducerOptions",
        constants=(integers(1),),
        keeps_scale=True,
        KeepDims=False,
    ),
    "reshape": simple("RESHAPE", IMAGE, (1, 60), constants=(integers(-1, 60),), keeps_scale=True),
    "reshape by its options": simple(
        "RESHAPE", IMAGE, (1, 12, 5), "ReshapeOptions", keeps_scale=True, NewShape=(1, 12, 5)
    ),
    "transpose": simple(
        "TRANSPOSE", IMAGE, (1, 5, 3, 4), constants=(integers(0, 2, 3, 1),), keeps_scale=True
    ),
    "pad": simple(
        "PAD",
        IMAGE,
        (1, 7, 6, 3),
        constants=(np.array([[0, 0], [1, 2], [0, 1], [0, 0]], np.int32),),
        keeps_scale=True,
    ),
    "pad of channels": simple(
        "PAD",
        IMAGE,
        (1, 4, 5, 6),
        constants=(np.array([[0, 0], [0, 0], [0, 0], [1, 2]], np.int32),),
        keeps_scale=True,
    ),
    "strided slice": simple(
        "STRIDED_SLICE",
        IMAGE,
        (1, 2, 3, 3),
        "StridedSliceOptions",
        constants=(integers(0, 1, 0, 0), integers(1, 4, 5, 0), integers(1, 2, 2, 1)),
        keeps_scale=True,
        EndMask=8,
    ),
    "strided slice that drops an axis": simple(
        "STRIDED_SLICE",
        IMAGE,
        (1, 5, 3),
        "StridedSliceOptions",
        constants=(integers(0, 2, 0, 0), integers(1, 3, 5, 3), integers(1, 1, 1, 1)),
        keeps_scale=True,
        ShrinkAxisMask=2,
    ),
    "slice": simple(
        "SLICE",
        IMAGE,
        (1, 2, 4, 2),
        constants=(integers(0, 1, 1, 0), integers(1, 2, -1, 2)),
        keeps_scale=True,
    ),
    "depth to space": simple(
        "DEPTH_TO_SPACE",
        (1, 3, 2, 8),
        (1, 6, 4, 2),
        "DepthToSpaceOptions",
        keeps_scale=True,
        BlockSize=2,
    ),
    "space to depth": simple(
        "SPACE_TO_DEPTH",
        (1, 6, 4, 2),
        (1, 3, 2, 8),
        "SpaceToDepthOptions",
        keeps_scale=True,
        BlockSize=2,
    ),
    "tile": simple(
        "TILE", (1, 2, 3, 2), (1, 4, 3, 6), constants=(integers(1, 2, 1, 3),), keeps_scale=True
    ),
    "expand": simple(
        "EXPAND_DIMS", (1, 4, 3), (1, 4, 1, 3), constants=(integers(2),), keeps_scale=True
    ),
    "squeeze": simple(
        "SQUEEZE", (1, 4, 1, 3), (1, 4, 3), "SqueezeOptions", keeps_scale=True, SqueezeDims=(2,)
    ),
    "one row": simple(
        "GATHER",
        IMAGE,
        (1, 2, 5, 3),
        "GatherOptions",
        constants=(integers(1, 3),),
        keeps_scale=True,
        Axis=1,
    ),
}
for _name, _settings in {
    "upsampling": {},
    "upsampling by half pixels": {"HalfPixelCenters": True},
}.items():
    CASES[_name] = simple(
        "RESIZE_NEAREST_NEIGHBOR",
        IMAGE,
        (1, 8, 15, 3),
        "ResizeNearestNeighborOptions",
        constants=(integers(8, 15),),
        keeps_scale=True,
        **_settings,
    )


def weights(*shape: int) -> np.ndarray:
    return NOISE.integers(-127, 128, shape, dtype=np.int8)


def convolution(
    kind: str,
    shape: tuple[int, ...],
    kernel: np.ndarray,
    result: tuple[int, ...],
    axis: int,
    options: str,
    per_channel: bool = True,
    **settings: object,
) -> Callable[[], bytes]:
    """A layer with weights, a scale for each output channel, and a bias."""

    def write() -> bytes:
        writer = TfliteWriter()
        channels = kernel.shape[axis]
        spread = np.geomspace(0.002, 0.01, channels) if per_channel else np.array([0.005])
        x = writer.activation(shape, SCALE, ZERO)
        w = writer.constant(kernel, spread.tolist(), axis=axis)
        bias = NOISE.integers(-2000, 2000, channels, dtype=np.int32)
        b = writer.constant(bias, (np.float32(SCALE) * spread.astype(np.float32)).tolist())
        y = writer.activation(result, RESULT_SCALE * 5, RESULT_ZERO)
        writer.layer(kind, (x, w, b), y, options, **settings)
        return writer.content(x, y)

    return write


ONE_STEP = {"StrideH": 1, "StrideW": 1}
CASES |= {
    "convolution": convolution(
        "CONV_2D", (1, 6, 7, 3), weights(4, 3, 3, 3), (1, 6, 7, 4), 0, "Conv2DOptions", **ONE_STEP
    ),
    "strided convolution with relu6": convolution(
        "CONV_2D",
        (1, 7, 7, 3),
        weights(4, 3, 2, 3),
        (1, 4, 4, 4),
        0,
        "Conv2DOptions",
        StrideH=2,
        StrideW=2,
        FusedActivationFunction=3,
    ),
    "valid dilated convolution": convolution(
        "CONV_2D",
        (1, 8, 8, 3),
        weights(4, 3, 3, 3),
        (1, 4, 4, 4),
        0,
        "Conv2DOptions",
        Padding=1,
        DilationHFactor=2,
        DilationWFactor=2,
        **ONE_STEP,
    ),
    "convolution with one scale": convolution(
        "CONV_2D",
        (1, 6, 7, 3),
        weights(4, 1, 1, 3),
        (1, 6, 7, 4),
        0,
        "Conv2DOptions",
        per_channel=False,
        **ONE_STEP,
    ),
    "depthwise": convolution(
        "DEPTHWISE_CONV_2D",
        (1, 6, 6, 3),
        weights(1, 3, 3, 3),
        (1, 3, 3, 3),
        3,
        "DepthwiseConv2DOptions",
        StrideH=2,
        StrideW=2,
        DepthMultiplier=1,
        FusedActivationFunction=1,
    ),
    "depthwise with a multiplier": convolution(
        "DEPTHWISE_CONV_2D",
        (1, 6, 6, 2),
        weights(1, 3, 3, 6),
        (1, 6, 6, 6),
        3,
        "DepthwiseConv2DOptions",
        DepthMultiplier=3,
        **ONE_STEP,
    ),
    "fully connected": convolution(
        "FULLY_CONNECTED",
        (1, 20),
        weights(5, 20),
        (1, 5),
        0,
        "FullyConnectedOptions",
        per_channel=False,
    ),
    "fully connected on an image": convolution(
        "FULLY_CONNECTED",
        IMAGE,
        weights(5, 60),
        (1, 5),
        0,
        "FullyConnectedOptions",
        per_channel=False,
        FusedActivationFunction=1,
    ),
    "fully connected on rows": convolution(
        "FULLY_CONNECTED",
        (1, 4, 6),
        weights(5, 6),
        (1, 4, 5),
        0,
        "FullyConnectedOptions",
        per_channel=False,
        KeepNumDims=True,
    ),
}


@case("dilated convolution on phases")
def _phases() -> bytes:
    writer = TfliteWriter()
    x = writer.activation((1, 6, 6, 3), SCALE, ZERO)
    block = writer.constant(integers(2, 2))
    pads = writer.constant(np.array([[2, 2], [2, 4]], np.int32))
    crops = writer.constant(np.array([[0, 0], [0, 2]], np.int32))
    phases = writer.activation((4, 5, 6, 3), SCALE, ZERO)
    w = writer.constant(weights(4, 3, 3, 3), [0.003, 0.004, 0.005, 0.006])
    bias = writer.constant(integers(100, -50, 0, 7), [1.5e-4, 2e-4, 2.5e-4, 3e-4])
    convolved = writer.activation((4, 3, 4, 4), RESULT_SCALE * 5, RESULT_ZERO)
    y = writer.activation((1, 6, 6, 4), RESULT_SCALE * 5, RESULT_ZERO)
    writer.layer("SPACE_TO_BATCH_ND", (x, block, pads), phases)
    writer.layer("CONV_2D", (phases, w, bias), convolved, "Conv2DOptions", Padding=1, **ONE_STEP)
    writer.layer("BATCH_TO_SPACE_ND", (convolved, block, crops), y)
    return writer.content(x, y)


def two_operands(
    kind: str, second: tuple[int, ...], options: str, clamp: int = 0
) -> Callable[[], bytes]:
    """A layer on an image and on a part of it that has another scale."""

    def write() -> bytes:
        writer = TfliteWriter()
        x = writer.activation(IMAGE, SCALE, ZERO)
        begin = writer.constant(integers(0, 0, 0, 0))
        size = writer.constant(integers(*second))
        part = writer.activation(second, SCALE, ZERO)
        other = writer.activation(second, SCALE * 0.6, ZERO + 11)
        y = writer.activation(IMAGE, RESULT_SCALE * 3, RESULT_ZERO)
        writer.layer("SLICE", (x, begin, size), part)
        writer.layer("QUANTIZE", (part,), other)
        writer.layer(kind, (x, other), y, options, FusedActivationFunction=clamp)
        return writer.content(x, y)

    return write


def with_constant(
    kind: str, values: np.ndarray, options: str, constant_first: bool = False
) -> Callable[[], bytes]:
    """A layer on an image and a stored tensor."""

    def write() -> bytes:
        writer = TfliteWriter()
        x = writer.activation(IMAGE, SCALE, ZERO)
        c = writer.constant(values, [0.013], [4])
        y = writer.activation(IMAGE, RESULT_SCALE * 3, RESULT_ZERO)
        inputs = (c, x) if constant_first else (x, c)
        writer.layer(kind, inputs, y, options, FusedActivationFunction=0)
        return writer.content(x, y)

    return write


CASES |= {
    "sum": two_operands("ADD", IMAGE, "AddOptions"),
    "sum with relu": two_operands("ADD", IMAGE, "AddOptions", clamp=1),
    "difference": two_operands("SUB", IMAGE, "SubOptions"),
    "product with relu6": two_operands("MUL", IMAGE, "MulOptions", clamp=3),
    "product with a pixel": two_operands("MUL", (1, 1, 1, 3), "MulOptions"),
    "product with a channel": two_operands("MUL", (1, 4, 5, 1), "MulOptions"),
    "sum with a pixel": two_operands("ADD", (1, 1, 1, 3), "AddOptions"),
    "sum with constants": with_constant("ADD", weights(1, 1, 1, 3), "AddOptions"),
    "sum with a number": with_constant("ADD", weights(1), "AddOptions"),
    "sum with an image of constants": with_constant("ADD", weights(*IMAGE), "AddOptions"),
    "constants less an image": with_constant("SUB", weights(3), "SubOptions", True),
    "product with constants": with_constant("MUL", weights(3), "MulOptions"),
}


def joined(axis: int, result: tuple[int, ...]) -> Callable[[], bytes]:
    def write() -> bytes:
        writer = TfliteWriter()
        x = writer.activation(IMAGE, SCALE, ZERO)
        other = writer.activation(IMAGE, SCALE, ZERO)
        y = writer.activation(result, SCALE, ZERO)
        writer.layer("RELU", (x,), other)
        writer.layer(
            "CONCATENATION",
            (x, other),
            y,
            "ConcatenationOptions",
            Axis=axis,
            FusedActivationFunction=0,
        )
        return writer.content(x, y)

    return write


CASES |= {
    "join of rows": joined(1, (1, 8, 5, 3)),
    "join of columns": joined(2, (1, 4, 10, 3)),
    "join of channels": joined(-1, (1, 4, 5, 6)),
}


@case("split and joined the other way round")
def _split() -> bytes:
    writer = TfliteWriter()
    x = writer.activation((1, 4, 4, 6), SCALE, ZERO)
    axis = writer.constant(np.array(3, np.int32))
    parts = [writer.activation((1, 4, 4, 3), SCALE, ZERO) for _ in range(2)]
    y = writer.activation((1, 4, 4, 6), SCALE, ZERO)
    writer.layer("SPLIT", (axis, x), parts, "SplitOptions", NumSplits=2)
    writer.layer(
        "CONCATENATION", parts[::-1], y, "ConcatenationOptions", Axis=3, FusedActivationFunction=0
    )
    return writer.content(x, y)


@case("asymmetric uint8 weights")
def _wide() -> bytes:
    writer = TfliteWriter()
    x = writer.activation((1, 6, 6, 3), SCALE, 121, "uint8")
    kernel = NOISE.integers(0, 256, (4, 3, 3, 3), dtype=np.uint8)
    w = writer.constant(kernel, [0.004], [87])
    bias = writer.constant(integers(100, -50, 0, 7), [2e-4])
    y = writer.activation((1, 6, 6, 4), RESULT_SCALE * 5, 133, "uint8")
    writer.layer("CONV_2D", (x, w, bias), y, "Conv2DOptions", **ONE_STEP)
    return writer.content(x, y)


@case("weights of four bits")
def _nibbles() -> bytes:
    writer = TfliteWriter()
    x = writer.activation((1, 5, 5, 3), SCALE, ZERO)
    w = writer.nibbles(NOISE.integers(-8, 8, (4, 3, 3, 3), dtype=np.int8), [0.05, 0.06, 0.07, 0.1])
    bias = writer.constant(integers(100, -50, 0, 7), [2.5e-3, 3e-3, 3.5e-3, 5e-3])
    y = writer.activation((1, 5, 5, 4), RESULT_SCALE * 5, RESULT_ZERO)
    writer.layer("CONV_2D", (x, w, bias), y, "Conv2DOptions", **ONE_STEP)
    return writer.content(x, y)


def on_same_scale(kind: str, *constants: np.ndarray) -> Callable[[], bytes]:
    """A layer on an image and stored integers; int8 ones have the scale that all of it has."""

    def write() -> bytes:
        writer = TfliteWriter()
        x = writer.activation(IMAGE, SCALE, ZERO)
        stored = [
            writer.constant(values, [SCALE], [ZERO])
            if values.dtype == np.int8
            else writer.constant(values)
            for values in constants
        ]
        y = writer.activation(IMAGE, SCALE, ZERO)
        writer.layer(kind, (x, *stored), y)
        return writer.content(x, y)

    return write


def in_floating_point(*kinds: str, constant_first: bool = False) -> Callable[[], bytes]:
    """Layers between DEQUANTIZE and QUANTIZE; those of two operands take the number 0.7."""

    def write() -> bytes:
        writer = TfliteWriter()
        x = writer.activation(IMAGE, SCALE, ZERO)
        last = writer.activation(IMAGE, 0, 0, "float32")
        number = writer.constant(np.array([0.7], np.float32))
        writer.layer("DEQUANTIZE", (x,), last)
        for kind in kinds:
            source, last = last, writer.activation(IMAGE, 0, 0, "float32")
            if kind == "DIV":
                inputs = (number, source) if constant_first else (source, number)
                writer.layer(kind, inputs, last, "DivOptions", FusedActivationFunction=3)
            else:
                is_limit = kind in ("MINIMUM", "MAXIMUM")
                writer.layer(kind, (source, number) if is_limit else (source,), last)
        y = writer.activation(IMAGE, RESULT_SCALE, RESULT_ZERO)
        writer.layer("QUANTIZE", (last,), y)
        return writer.content(x, y)

    return write


CASES |= {
    "absolute value": simple("ABS", IMAGE, IMAGE),
    "negated": in_floating_point("NEG"),
    "square": in_floating_point("SQUARE"),
    "root": in_floating_point("MAXIMUM", "SQRT"),
    "reciprocal root": in_floating_point("MAXIMUM", "RSQRT"),
    "logarithm": in_floating_point("MAXIMUM", "LOG"),
    "number by an image": in_floating_point("MAXIMUM", "DIV", constant_first=True),
    "relu between 0 and 1": simple("RELU_0_TO_1", IMAGE, IMAGE, scale=(0.01, 3)),
    "least of an image and a number": on_same_scale("MINIMUM", np.array([20], np.int8)),
    "largest of an image and a number": on_same_scale("MAXIMUM", np.array([20], np.int8)),
    "repeated rows": simple(
        "BROADCAST_TO",
        (1, 1, 5, 3),
        IMAGE,
        constants=(integers(*IMAGE),),
        keeps_scale=True,
    ),
}


@case("image by a number")
def _divided() -> bytes:
    writer = TfliteWriter()
    x = writer.activation(IMAGE, SCALE, 121, "uint8")
    divisor = writer.constant(np.array([90], np.uint8), [0.013], [4])
    y = writer.activation(IMAGE, RESULT_SCALE * 2, 133, "uint8")
    writer.layer("DIV", (x, divisor), y, "DivOptions", FusedActivationFunction=1)
    return writer.content(x, y)


@case("one slope")
def _one_slope() -> bytes:
    writer = TfliteWriter()
    x = writer.activation(IMAGE, SCALE, ZERO)
    slope = writer.constant(np.full((1, 1, 3), 23, np.int8), [0.011], [3])
    y = writer.activation(IMAGE, RESULT_SCALE, RESULT_ZERO)
    writer.layer("PRELU", (x, slope), y)
    return writer.content(x, y)


@case("border of a number")
def _border() -> bytes:
    writer = TfliteWriter()
    x = writer.activation(IMAGE, SCALE, ZERO)
    widths = writer.constant(np.array([[0, 0], [1, 2], [0, 1], [1, 0]], np.int32))
    value = writer.constant(np.array([44], np.int8), [SCALE], [ZERO])
    y = writer.activation((1, 7, 6, 4), SCALE, ZERO)
    writer.layer("PADV2", (x, widths, value), y)
    return writer.content(x, y)


@case("last of unequal parts")
def _unequal_parts() -> bytes:
    writer = TfliteWriter()
    x = writer.activation(IMAGE, SCALE, ZERO)
    sizes, axis = writer.constant(integers(1, 4)), writer.constant(integers(2))
    parts = [writer.activation((1, 4, size, 3), SCALE, ZERO) for size in (1, 4)]
    writer.layer("SPLIT_V", (x, sizes, axis), parts, "SplitVOptions", NumSplits=2)
    return writer.content(x, parts[1])


@case("second of the rows")
def _unpacked() -> bytes:
    writer = TfliteWriter()
    x = writer.activation(IMAGE, SCALE, ZERO)
    rows = [writer.activation((1, 5, 3), SCALE, ZERO) for _ in range(4)]
    writer.layer("UNPACK", (x,), rows, "UnpackOptions", Num=4, Axis=1)
    return writer.content(x, rows[1])


@case("shape that is computed")
def _computed_shape() -> bytes:
    writer = TfliteWriter()

    def computed(
        kind: str, options: str, inputs: list[int], shape: tuple[int, ...] = (), **settings: int
    ) -> int:
        number = writer.activation(shape, 0, 0, "int32")
        writer.layer(kind, inputs, number, options, **settings)
        return number

    x = writer.activation(IMAGE, SCALE, ZERO)
    one, two, three = (writer.constant(np.array(n, np.int32)) for n in (1, 2, 3))
    bounds = [writer.constant(integers(n)) for n in (1, 3, 1)]
    shape = computed("SHAPE", "ShapeOptions", [x], (4,), OutType=2)
    sizes = computed("STRIDED_SLICE", "StridedSliceOptions", [shape, *bounds], (2,))
    first = writer.constant(integers(0))
    pixels = computed("REDUCE_PROD", "ReducerOptions", [sizes, first])
    more = computed("ADD", "AddOptions", [computed("CAST", "CastOptions", [pixels]), one])
    half = computed("FLOOR_DIV", "FloorDivOptions", [more, two])
    most = computed("MAXIMUM", "MaximumMinimumOptions", [half, three])
    twice = computed("MUL", "MulOptions", [computed("SUB", "SubOptions", [most, one]), two])
    half = computed("MINIMUM", "MaximumMinimumOptions", [half, twice])
    packed = writer.activation((4,), 0, 0, "int32")
    writer.layer("PACK", (one, two, half, three), packed, "PackOptions", ValuesCount=4)
    y = writer.activation((1, 2, 10, 3), SCALE, ZERO)
    writer.layer("RESHAPE", (x, packed), y)
    return writer.content(x, y)


def both(content: bytes, path: Path, device: Device) -> tuple[np.ndarray, np.ndarray]:
    """Our results and LiteRT's for equal random inputs, as int8."""
    path.write_bytes(content)
    program = compile_graph(import_tflite(path), device)
    interpreter = litert.Interpreter(
        str(path),
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    values = np.random.default_rng(0).integers(
        -128, 128, (INPUTS, *source["shape"][1:]), dtype=np.int8
    )
    offset = 128 if source["dtype"] == np.uint8 else 0
    theirs = []
    for one in values:
        interpreter.set_tensor(
            source["index"], (one[None] + np.int16(offset)).astype(source["dtype"])
        )
        interpreter.invoke()
        theirs.append(interpreter.get_tensor(result["index"]).astype(np.int64) - offset)
    ours = program.run(values)
    return ours, np.concatenate(theirs).reshape(INPUTS, -1)


@pytest.mark.parametrize("name", CASES)
def test_a_layer_is_within_one_step_of_litert(
    name: str, tmp_path: Path, portable_device: Device
) -> None:
    ours, theirs = both(CASES[name](), tmp_path / "model.tflite", portable_device)
    assert np.abs(ours - theirs).max() <= 1


@pytest.mark.parametrize("zero_point", [-128, -7, 0, 99])
@pytest.mark.parametrize("activation", [0, 1, 3])
@pytest.mark.parametrize(
    ("size", "stride", "padding"), [(2, 2, 1), (3, 2, 0), (4, 1, 0), (8, 8, 1), (5, 3, 0)]
)
def test_an_average_pool_is_litert_s_to_the_last_bit(
    size: int,
    stride: int,
    padding: int,
    activation: int,
    zero_point: int,
    tmp_path: Path,
    portable_device: Device,
) -> None:
    writer = TfliteWriter()
    x = writer.activation((1, 8, 8, 4), SCALE, zero_point)
    length = -(-8 // stride) if padding == 0 else (8 - size) // stride + 1
    y = writer.activation((1, length, length, 4), SCALE, zero_point)
    settings = {
        "Padding": padding,
        "StrideH": stride,
        "StrideW": stride,
        "FilterHeight": size,
        "FilterWidth": size,
        "FusedActivationFunction": activation,
    }
    writer.layer("AVERAGE_POOL_2D", (x,), y, "Pool2DOptions", **settings)
    ours, theirs = both(writer.content(x, y), tmp_path / "model.tflite", portable_device)
    assert np.array_equal(ours, theirs)

"""ONNX layers one by one, against onnxruntime on the same integers: at most one step apart."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from automcu.compiler import compile_graph, import_onnx
from automcu.compiler.ops import Convolution
from automcu.mcu import Device

INPUTS = 5
IN_OUR_ORDER = ("transpose to channels last", "reshape to a sequence", "one row")
ROUND = "q = QuantizeLinear(a, sx, zx)\n b = DequantizeLinear(q, sx, zx)\n"
STEP = 1

# What stands between `x`, dequantised, and `y`, which is quantised; constants are typed in front.
LAYERS: dict[str, tuple[str, str, str]] = {
    # name: shape of x, constants, body
    "softmax of channels": ("1,5,3,2", "", "y = Softmax<axis=1>(x)"),
    "softmax of rows": ("1,5,3,2", "", "y = Softmax<axis=2>(x)"),
    "softmax of a vector": ("1,10", "", "y = Softmax(x)"),
    "sigmoid": ("1,3,4,4", "", "y = Sigmoid(x)"),
    "tanh": ("1,3,4,4", "", "y = Tanh(x)"),
    "hard-swish": ("1,3,4,4", "", "y = HardSwish(x)"),
    "hard-sigmoid": ("1,3,4,4", "", "y = HardSigmoid<alpha=0.3, beta=0.4>(x)"),
    "leaky relu": ("1,3,4,4", "", "y = LeakyRelu<alpha=0.2>(x)"),
    "elu": ("1,3,4,4", "", "y = Elu<alpha=0.7>(x)"),
    "selu": ("1,3,4,4", "", "y = Selu(x)"),
    "celu": ("1,3,4,4", "", "y = Celu<alpha=2.0>(x)"),
    "mish": ("1,3,4,4", "", "y = Mish(x)"),
    "softplus": ("1,3,4,4", "", "y = Softplus(x)"),
    "softsign": ("1,3,4,4", "", "y = Softsign(x)"),
    "exponential": ("1,20", "", "y = Exp(x)"),
    "gelu in parts": (
        "1,20",
        "float r = {1.41421356}, float one = {1.0}, float half = {0.5}",
        "a = Div(x, r)\n b = Erf(a)\n c = Add(b, one)\n d = Mul(x, c)\n y = Mul(d, half)",
    ),
    "hard-swish in parts": (
        "1,3,4,4",
        "float three = {3.0}, float low = {0.0}, float high = {6.0}, float six = {6.0}",
        "a = Add(x, three)\n b = Clip(a, low, high)\n c = Mul(x, b)\n y = Div(c, six)",
    ),
    "floor": ("1,3,4,4", "", "y = Floor(x)"),
    "ceiling": ("1,3,4,4", "", "y = Ceil(x)"),
    "round": ("1,3,4,4", "", "y = Round(x)"),
    "sign": ("1,3,4,4", "", "y = Sign(x)"),
    "swish as a quotient": (
        "1,3,4,4",
        "float one = {1.0}",
        "n = Neg(x)\n e = Exp(n)\n d = Add(e, one)\n y = Div(x, d)",
    ),
    "images in a row": ("1,2,3,4,4", "", "y = ReduceMean<axes=[1,3,4],keepdims=0>(x)"),
    "swish": ("1,3,4,4", "", "a = Sigmoid(x)\n y = Mul(a, x)"),
    "square": ("1,3,4,4", "", "y = Mul(x, x)"),
    "power": ("1,3,4,4", "float two = {2.0}", "y = Pow(x, two)"),
    "prelu": ("1,3,4,4", "float[1] slope = {0.3}", "y = PRelu(x, slope)"),
    "constant minus x": ("1,3,4,4", "float one = {1.0}", "y = Sub(one, x)"),
    "reciprocal": ("1,20", "float two = {-2.0}", "y = Div(two, x)"),
    "relu": ("1,3,4,4", "", "y = Relu(x)"),
    "clip": ("1,3,4,4", "float low = {-1.0}, float high = {2.5}", "y = Clip(x, low, high)"),
    "clip on one side": ("1,3,4,4", "float high = {2.5}", "y = Clip(x, , high)"),
    "maximum with a number": ("1,3,4,4", "float low = {0.5}", "y = Max(x, low)"),
    "minimum with a number": ("1,3,4,4", "float high = {0.5}", "y = Min(high, x)"),
    "per-channel factor": ("1,3,4,4", "float[3,1,1] f = {0.5,-1.25,2}", "y = Mul(x, f)"),
    "per-channel offset": ("1,3,4,4", "float[1,3,1,1] f = {0.5,-1.25,2}", "y = Add(x, f)"),
    "offset of every value": (
        "1,2,2,2",
        "float[2,2,2] f = {0.5,-1.25,2,0.1,0.2,-0.3,1,0}",
        "y = Sub(x, f)",
    ),
    "offset of a vector": ("1,4", "float[4] f = {0.5,-1.25,2,0}", "y = Add(f, x)"),
    "batch normalisation": (
        "1,3,4,4",
        "float[3] g = {0.5,-1.25,2}, float[3] b = {1,-1,0}, "
        "float[3] m = {0.1,0.2,-0.3}, float[3] v = {1,0.5,2}",
        "y = BatchNormalization(x, g, b, m, v)",
    ),
    "squeeze and excite": ("1,3,4,4", "", "a = GlobalAveragePool(x)\n" + ROUND + "y = Mul(x, b)"),
    "attention over pixels": (
        "1,3,4,4",
        "int64[1] axes = {1}",
        "a = ReduceMax(x, axes)\n y = Mul(a, x)",
    ),
    "sum with a broadcast pixel": ("1,3,4,4", "", "a = GlobalMaxPool(x)\n y = Sub(a, x)"),
    "mean over height and width": ("1,3,4,5", "", "y = ReduceMean<axes=[2,3]>(x)"),
    "mean without kept axes": ("1,3,4,5", "", "y = ReduceMean<axes=[-1,-2],keepdims=0>(x)"),
    "mean over channels": ("1,3,4,5", "", "y = ReduceMean<axes=[1]>(x)"),
    "mean over rows": ("1,3,4,5", "", "y = ReduceMean<axes=[2]>(x)"),
    "mean over everything": ("1,3,4,5", "", "y = ReduceMean(x)"),
    "maximum of 3x3": ("1,3,6,6", "", "y = MaxPool<kernel_shape=[3,3],strides=[2,2]>(x)"),
    "average of a sequence": ("1,3,8", "", "y = AveragePool<kernel_shape=[3],pads=[1,1]>(x)"),
    "flatten of an image": ("1,3,4,5", "", "y = Flatten(x)"),
    "reshape to a sequence": (
        "1,3,4,5",
        "int64[3] s = {0,3,-1}",
        "y = Reshape(x, s)",
    ),
    "transpose to channels last": ("1,3,4,5", "", "y = Transpose<perm=[0,2,3,1]>(x)"),
    "transpose of height and width": ("1,3,4,5", "", "y = Transpose<perm=[0,1,3,2]>(x)"),
    "channel shuffle": (
        "1,6,3,3",
        "int64[5] a = {1,2,3,3,3}, int64[4] b = {1,6,3,3}",
        "c = Reshape(x, a)\n d = Transpose<perm=[0,2,1,3,4]>(c)\n y = Reshape(d, b)",
    ),
    "slice of channels": (
        "1,6,3,3",
        "int64[1] a = {1}, int64[1] b = {5}, int64[1] c = {1}",
        "y = Slice(x, a, b, c)",
    ),
    "slice with steps": (
        "1,4,7,6",
        "int64[2] a = {1,-1}, int64[2] b = {7,-100}, int64[2] c = {2,3}, int64[2] d = {2,-2}",
        "y = Slice(x, a, b, c, d)",
    ),
    "split and join": ("1,6,3,3", "", "a, b = Split<axis=1>(x)\n y = Concat<axis=1>(b, a)"),
    "split into uneven parts": (
        "1,2,3,5",
        "int64[2] s = {2,3}",
        "a, b = Split<axis=2>(x2, s)\n y = Concat<axis=2>(b, a)",
    ),
    "join of rows": ("1,3,4,4", "", "a = Relu(x)\n y = Concat<axis=2>(a, x)"),
    "join of columns": ("1,3,4,4", "", "a = Sigmoid(x)\n y = Concat<axis=3>(a, x)"),
    "join of vectors": ("1,7", "", "a = Tanh(x)\n y = Concat<axis=1>(x, a)"),
    "padding of an image": ("1,3,4,4", "int64[8] p = {0,0,1,2,0,0,3,0}", "y = Pad(x, p)"),
    "padding with a value": (
        "1,3,4,4",
        "int64[8] p = {0,1,1,2,0,1,0,0}, float v = {1.5}",
        "y = Pad(x, p, v)",
    ),
    "cropping": ("1,3,6,6", "int64[8] p = {0,0,-1,1,0,0,-2,0}", "y = Pad(x, p)"),
    "upsampling": (
        "1,3,4,4",
        "float[4] s = {1,1,2,3}",
        'y = Resize<mode="nearest",coordinate_transformation_mode="asymmetric",'
        'nearest_mode="floor">(x, , s)',
    ),
    "upsampling by half pixels": (
        "1,3,4,4",
        "int64[4] s = {1,3,8,8}",
        'y = Resize<mode="nearest">(x, , , s)',
    ),
    "downsampling": (
        "1,3,8,8",
        "float[4] s = {1,1,0.5,0.25}",
        'y = Resize<mode="nearest",coordinate_transformation_mode="asymmetric",'
        'nearest_mode="floor">(x, , s)',
    ),
    "depth to space": ("1,8,3,3", "", "y = DepthToSpace<blocksize=2>(x)"),
    "depth to space by columns": ("1,8,3,3", "", 'y = DepthToSpace<blocksize=2,mode="CRD">(x)'),
    "space to depth": ("1,2,4,6", "", "y = SpaceToDepth<blocksize=2>(x)"),
    "one row": ("1,3,4,5", "int64 i = {2}", "y = Gather<axis=2>(x, i)"),
    "every other column": ("1,3,4,5", "int64[2] i = {1,3}", "y = Gather<axis=3>(x, i)"),
    "squeeze and unsqueeze": (
        "1,3,1,5",
        "int64[1] a = {2}, int64[1] b = {-1}",
        "c = Squeeze(x, a)\n y = Unsqueeze(c, b)",
    ),
    "broadcast": ("1,3,1,1", "int64[4] s = {1,3,2,4}", "y = Expand(x, s)"),
    "tile": ("1,2,2,3", "int64[4] s = {1,2,1,2}", "y = Tile(x, s)"),
    "shape computed in the file": (
        "1,3,4,5",
        "int64 zero = {0}, int64[1] rest = {-1}, int64[1] front = {0}",
        "a = Shape(x)\n b = Gather(a, zero)\n c = Unsqueeze(b, front)\n"
        "d = Concat<axis=0>(c, rest)\n y = Reshape(x, d)",
    ),
    "clips between quantising and dequantising": (
        "1,4,3,3",
        "int8 low = {-60}, int8 high = {70}, int8[2,4,1,1] w = {-8,7,3,-1,0,5,2,9}, "
        "int8 l = {-7}, int8 h = {7}, float ws = {0.1}, int8 wz = {0}",
        "q = QuantizeLinear(x, sx, zx)\n c = Clip(q, low, high)\n"
        "a = DequantizeLinear(c, sx, zx)\n wc = Clip(w, l, h)\n"
        "wd = DequantizeLinear(wc, ws, wz)\n y = Conv(a, wd)",
    ),
    "dropout": ("1,7", "", "y = Dropout(x)"),
}


def model_text(shape: str, constants: str, body: str, kind: str = "int8") -> str:
    """A model in ONNX's text format; `x2` is `x` with its last two axes exchanged."""
    typed = "uint8" if kind == "uint8" else "int8"
    zeros = ("121", "133") if kind == "uint8" else ("-7", "5")
    inputs = f"{typed}[{shape}] input"
    known = f"float sx = {{0.05}}, float sy = {{0.04}}, {typed} zx = {{{zeros[0]}}}"
    listed = ", ".join(filter(None, (known, f"{typed} zy = {{{zeros[1]}}}", constants)))
    if "x2" in body:
        body = "x2 = Transpose<perm=[0,1,3,2]>(x)\n" + body
    return f"""
        <ir_version: 9, opset_import: ["" : 17]>
        model ({inputs}) => ({typed}[M] output)
        <{listed}>
        {{
            x = DequantizeLinear(input, sx, zx)
            {body}
            output = QuantizeLinear(y, sy, zy)
        }}
    """


def write(text: str, path: Path) -> Path:
    model = onnx.parser.parse_model(text)
    if any(node.op_type in ("Mish", "ReduceMax") for node in model.graph.node):
        model.opset_import[0].version = 18
        for node in model.graph.node:
            if node.op_type == "Split":
                node.attribute.append(onnx.helper.make_attribute("num_outputs", 2))
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    model.graph.output[0].type.tensor_type.ClearField("shape")
    path.write_bytes(model.SerializeToString())
    return path


def steps_apart(path: Path, device: Device, kind: str = "int8", stays: bool = False) -> np.ndarray:
    """How many steps our outputs are from onnxruntime's, for random inputs of every value.

    With `stays` the file's output has the order of axes that ours has.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    shape = session.get_inputs()[0].shape
    values = np.random.default_rng(0).integers(-128, 128, (INPUTS, *shape[1:]), dtype=np.int8)
    offset = 128 if kind == "uint8" else 0
    shifted = (values.astype(np.int64) + offset).astype(kind)
    theirs = np.concatenate([session.run(None, {"input": one[None]})[0] for one in shifted])
    program = compile_graph(import_onnx(path), device)
    ours = program.run(channels_last(values))
    expected = theirs if stays else channels_last(theirs)
    expected = expected.reshape(INPUTS, -1).astype(np.int64) - offset
    return np.abs(ours - expected)


def channels_last(values: np.ndarray) -> np.ndarray:
    """Images and sequences as the compiler takes and gives them."""
    return np.moveaxis(values, 1, -1) if values.ndim in (3, 4) else values


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_within_one_step_of_onnxruntime(
    name: str, tmp_path: Path, portable_device: Device
) -> None:
    path = write(model_text(*LAYERS[name]), tmp_path / "model.onnx")
    stays = name in IN_OUR_ORDER
    assert steps_apart(path, portable_device, stays=stays).max() <= STEP


@pytest.mark.parametrize("name", ["sigmoid", "squeeze and excite", "padding of an image", "clip"])
def test_a_layer_of_uint8_is_within_one_step_of_onnxruntime(
    name: str, tmp_path: Path, portable_device: Device
) -> None:
    path = write(model_text(*LAYERS[name], kind="uint8"), tmp_path / "model.onnx")
    assert steps_apart(path, portable_device, "uint8").max() <= STEP


@pytest.mark.parametrize(
    ("kind", "values", "zero_points", "expected"),
    [
        (TensorProto.INT4, [-8, 7, 3, -1], None, [-8, 7, 3, -1]),
        (TensorProto.INT2, [-2, 1, 0, -1], None, [-2, 1, 0, -1]),
        (TensorProto.UINT4, [0, 15, 3, 8], [8, 7], [-8, 7, -4, 1]),
    ],
)
def test_weights_of_few_bits_are_read_as_they_are(
    kind: int, values: list[int], zero_points: list[int] | None, expected: list[int], tmp_path: Path
) -> None:
    arrays = [
        helper.make_tensor("w", kind, [2, 2], values),
        helper.make_tensor("ws", TensorProto.FLOAT, [2], [0.1, 0.2]),
        helper.make_tensor("s", TensorProto.FLOAT, [], [0.1]),
        helper.make_tensor("z", TensorProto.INT8, [], [3]),
    ]
    dequantised = ["w", "ws"]
    if zero_points is not None:
        arrays.append(helper.make_tensor("wz", kind, [2], zero_points))
        dequantised.append("wz")
    graph = helper.make_graph(
        [
            helper.make_node("DequantizeLinear", ["input", "s", "z"], ["x"]),
            helper.make_node("DequantizeLinear", dequantised, ["weights"], axis=0),
            helper.make_node("Gemm", ["x", "weights"], ["y"], transB=1),
            helper.make_node("QuantizeLinear", ["y", "s", "z"], ["output"]),
        ],
        "narrow",
        [helper.make_tensor_value_info("input", TensorProto.INT8, [1, 2])],
        [helper.make_tensor_value_info("output", TensorProto.INT8, [1, 2])],
        arrays,
    )
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]), path)
    (layer,) = import_onnx(path).operators
    assert isinstance(layer.attributes, Convolution)
    assert layer.attributes.weights is not None
    assert layer.attributes.weights.reshape(-1).tolist() == expected

"""What cannot be compiled is named: the layer, its kind, and what would help."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from automcu.compiler import import_model, import_onnx, import_tflite
from automcu.errors import UnsupportedModelError, WrongInputError
from tests.compiler.read.tflite_writer import TfliteWriter


def onnx_file(folder: Path, body: str, constants: str = "", shape: str = "1,3,6,6") -> Path:
    """A QDQ model with `body` between `x` and `y`; every layer has the name of its result."""
    known = "float s = {0.05}, int8 z = {3}"
    model = onnx.parser.parse_model(f"""
        <ir_version: 9, opset_import: ["" : 17]>
        model (int8[{shape}] input) => (int8[M] output)
        <{", ".join(filter(None, (known, constants)))}>
        {{
            x = DequantizeLinear(input, s, z)
            {body}
            output = QuantizeLinear(y, s, z)
        }}
    """)
    for node in model.graph.node:
        node.name = f"layer_{node.output[0]}"
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


ONNX_REFUSALS = {
    "an unknown operator": ("y = Det(x)", "", r"layer_y is a Det.*docs/models\.md"),
    "a recurrent layer": ("y = LSTM(x, x, x)", "", r"layer_y is an LSTM.*1-D convolutions"),
    "a logarithm of probabilities": ("y = LogSoftmax(x)", "", "largest score stays the largest"),
    "float weights": (
        "y = Conv(x, w)",
        "float[1,3,1,1] w = {1,2,3}",
        "layer_y has float weights.*Quantise",
    ),
    "a result that is not quantised": (
        "c = Conv(x, w)\n y = Sigmoid(c)",
        "float[1,3,1,1] w = {1,2,3}",
        "layer_c has float weights",
    ),
    "two computed matrices": ("y = MatMul(x, x)", "", "layer_y multiplies two computed matrices"),
    "reflected borders": (
        'y = Pad<mode="reflect">(x, p)',
        "int64[8] p = {0,0,1,1,0,0,1,1}",
        "layer_y pads by 'reflect'.*zeros",
    ),
    "interpolation": (
        'y = Resize<mode="linear">(x, , t)',
        "float[4] t = {1,1,2,2}",
        "layer_y resizes by 'linear'.*nearest",
    ),
    "a resize by a broken factor": (
        'y = Resize<mode="nearest">(x, , , t)',
        "int64[4] t = {1,3,8,8}",
        "layer_y resizes 6 to 8.*whole factor",
    ),
    "a resize that repeats unevenly": (
        'y = Resize<mode="nearest", coordinate_transformation_mode="asymmetric",'
        ' nearest_mode="round_prefer_floor">(x, , t)',
        "float[4] t = {1,1,3,3}",
        "Resize layer layer_y resizes 6 to 18, but repeats some.*nearest_mode 'floor'",
    ),
    "a sum over pixels": (
        "y = ReduceSum(x, a)",
        "int64[2] a = {2,3}",
        "layer_y is a ReduceSum of computed values.*Use ReduceMean",
    ),
    "a choice": (
        "g = Greater(x, c)\n y = Where(g, x, c)",
        "float c = {0.5}",
        "layer_g is a Greater of computed values.*Clip",
    ),
    "the larger of two tensors": (
        "a = Relu(x)\n y = Max(x, a)",
        "",
        r"layer_y compares tensors element by element \(Max\)",
    ),
    "a stored tensor that is joined": (
        "y = Concat<axis=1>(x, c)",
        "float[1,1,6,1] c = {1,2,3,4,5,6}",
        "Concat layer layer_y takes 'c', a constant of the file",
    ),
    "a stored matrix in front": (
        "y = MatMul(c, x)",
        "float[1,2] c = {1,2}",
        "layer_y multiplies a stored matrix by its input.*Transpose",
    ),
    "two computed tensors divided": (
        "a = Relu(x)\n b = MaxPool<kernel_shape=[1,1]>(a)\n y = Div(x, b)",
        "",
        "layer_y divides one computed tensor by another",
    ),
    "irregular picks": (
        "y = Gather<axis=1>(x, i)",
        "int64[3] i = {0,2,1}",
        "layer_y picks values.*Use a slice",
    ),
    "a slope for each channel": (
        "y = PRelu(x, a)",
        "float[3,1,1] a = {0.1,0.2,0.3}",
        "layer_y is a PReLU.*one slope",
    ),
    "a softmax over very many classes": (
        "y = Softmax(x)",
        "",
        r"layer_y.*softmax over 5000.*Remove it",
        "1,5000",
    ),
}


@pytest.mark.parametrize("name", ONNX_REFUSALS)
def test_an_onnx_layer_that_cannot_be_compiled_is_named(name: str, tmp_path: Path) -> None:
    body, constants, message, *shape = ONNX_REFUSALS[name]
    path = onnx_file(tmp_path, body, constants, *shape)
    with pytest.raises(UnsupportedModelError, match=message):
        import_onnx(path)


@pytest.mark.parametrize(
    ("body", "opset", "wording"),
    [("y = HardSwish(x)", 13, "opset 14"), ("y = Mish(x)", 17, "opset 18")],
)
def test_an_operator_that_the_file_s_opset_does_not_have_is_refused(
    body: str, opset: int, wording: str, tmp_path: Path
) -> None:
    model = onnx.load(onnx_file(tmp_path, body))
    model.opset_import[0].version = opset
    onnx.save(model, tmp_path / "older.onnx")
    with pytest.raises(
        UnsupportedModelError, match=f"{wording} and later; the file is of opset {opset}"
    ):
        import_onnx(tmp_path / "older.onnx")


@pytest.mark.parametrize("body", ["y = Transpose<perm=[0,2,3,1]>(x)", "y = Identity(x)"])
def test_a_model_that_only_rearranges_its_input_says_so(body: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="computes nothing: it only passes"):
        import_onnx(onnx_file(tmp_path, body))
    path = tmp_path / "float.onnx"
    text = f"""
        <ir_version: 9, opset_import: ["" : 17]>
        model (float[1,3,6,6] x) => (float[M] y) {{ {body} }}
    """
    path.write_bytes(onnx.parser.parse_model(text).SerializeToString())
    with pytest.raises(UnsupportedModelError, match="computes nothing"):
        import_onnx(path)


def test_a_float_onnx_model_is_pointed_to_calibration(tmp_path: Path) -> None:
    path = tmp_path / "float.onnx"
    path.write_bytes(
        onnx.parser.parse_model("""
            <ir_version: 9, opset_import: ["" : 17]>
            model (float[1,4] x) => (float[1,4] y) { y = Relu(x) }
        """).SerializeToString()
    )
    with pytest.raises(UnsupportedModelError, match="--calibrate"):
        import_model(path)


def test_a_dynamically_quantised_model_is_pointed_to_calibration(tmp_path: Path) -> None:
    path = tmp_path / "dynamic.onnx"
    path.write_bytes(
        onnx.parser.parse_model("""
            <ir_version: 9, opset_import: ["" : 17]>
            model (float[1,4] x) => (uint8[1,4] y) { y, s, z = DynamicQuantizeLinear(x) }
        """).SerializeToString()
    )
    with pytest.raises(UnsupportedModelError, match=r"as it runs.*--calibrate"):
        import_model(path)


def test_a_function_too_wide_for_eight_bits_needs_a_scale_of_its_own(tmp_path: Path) -> None:
    body = "a = Exp(x)\n b = Exp(a)\n y = MaxPool<kernel_shape=[2,2]>(b)"
    with pytest.raises(UnsupportedModelError, match=r"layer_y comes from an exp.*Quantise"):
        import_onnx(onnx_file(tmp_path, body))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ("2,3,6,6", "input has the shape.*2 inputs at once"),
        ("1,3,N,6", r"\[1, 3, N, 6\], of open size.*static sizes"),
        ("1,3,0,6", r"\[1, 3, 0, 6\], which holds no values.*the sizes that the network takes"),
        ("1", "input has the shape"),
    ],
)
def test_an_input_without_one_known_size_is_refused(
    shape: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedModelError, match=message):
        import_onnx(onnx_file(tmp_path, "y = Relu(x)", shape=shape))


def tflite_file(folder: Path, kind: str, tensor: str = "int8", **settings: object) -> Path:
    writer = TfliteWriter()
    x = writer.activation((1, 4, 4, 2), 0.05, 0, tensor)
    y = writer.activation((1, 4, 4, 2), 0.05, 0, tensor)
    writer.layer(kind, (x,), y)
    path = folder / "model.tflite"
    path.write_bytes(writer.content(x, y))
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("LOG_SOFTMAX", "LOG_SOFTMAX.*largest score"),
        ("RESIZE_BILINEAR", "RESIZE_BILINEAR.*nearest"),
        ("L2_NORMALIZATION", r"tensor_1 is an L2_NORMALIZATION.*docs/models\.md"),
    ],
)
def test_a_tflite_layer_that_cannot_be_compiled_is_named(
    kind: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedModelError, match=message):
        import_tflite(tflite_file(tmp_path, kind))


@pytest.mark.parametrize(
    ("batch_dims", "indices", "message"),
    [
        (1, (0, 1, 2, 3), "GATHER layer tensor_2 picks other values in each part of a batch"),
        (0, (0, -1), "GATHER.*is malformed: it picks the values"),
        (0, (2, 4), "GATHER.*is malformed: it picks the values .2, 4. of 4"),
    ],
)
def test_a_gather_that_other_values_would_answer_is_refused(
    batch_dims: int, indices: tuple[int, ...], message: str, tmp_path: Path
) -> None:
    writer = TfliteWriter()
    x = writer.activation((1, 4, 4, 2), 0.05, 0)
    picks = writer.constant(np.array(indices, np.int32))
    y = writer.activation((1, len(indices), 4, 2), 0.05, 0)
    writer.layer("GATHER", (x, picks), y, "GatherOptions", Axis=1, BatchDims=batch_dims)
    path = tmp_path / "model.tflite"
    path.write_bytes(writer.content(x, y))
    with pytest.raises(UnsupportedModelError, match=message):
        import_tflite(path)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("DIV", "DIV layer tensor_2 divides one computed tensor by another.*Divide by a constant"),
        ("MAXIMUM", r"tensor_2 compares tensors element by element \(MAXIMUM\)"),
        ("FLOOR_DIV", "tensor_2 is a FLOOR_DIV of computed values"),
    ],
)
def test_a_tflite_layer_of_two_computed_tensors_is_named(
    kind: str, message: str, tmp_path: Path
) -> None:
    writer = TfliteWriter()
    x, y, z = (writer.activation((1, 4, 4, 2), 0.05 + 0.01 * i, 0) for i in range(3))
    writer.layer("QUANTIZE", (x,), y)
    writer.layer(kind, (x, y), z)
    path = tmp_path / "model.tflite"
    path.write_bytes(writer.content(x, z))
    with pytest.raises(UnsupportedModelError, match=message):
        import_tflite(path)


def test_a_stored_tensor_that_is_joined_is_named(tmp_path: Path) -> None:
    writer = TfliteWriter()
    x = writer.activation((1, 4, 4, 2), 0.05, 0)
    c = writer.constant(np.ones((1, 4, 4, 1), np.int8), (0.05,))
    y = writer.activation((1, 4, 4, 3), 0.05, 0)
    writer.layer("CONCATENATION", (x, c), y, "ConcatenationOptions", Axis=3)
    path = tmp_path / "model.tflite"
    path.write_bytes(writer.content(x, y))
    with pytest.raises(UnsupportedModelError, match="a constant of the file"):
        import_tflite(path)


def test_a_float_tflite_model_is_refused_with_how_to_convert_it(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="full integer quantisation"):
        import_tflite(tflite_file(tmp_path, "RELU", "float32"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongInputError, match=r"nowhere\.tflite cannot be read"):
        import_model(tmp_path / "nowhere.tflite")


def test_another_file_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("nothing to see here")
    with pytest.raises(UnsupportedModelError, match=r"not an ONNX file|holds no layers"):
        import_model(path)

"""What is imported compiles: a file is refused when it is read, or not at all.

`check` costs kernels, which follow from shapes; `compile` needs the integers too. Both read files
through `import_model`, so a file that it returns must render.
"""

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automcu.compiler import compile_graph, import_model
from automcu.compiler.render import render_model
from automcu.errors import UnsupportedModelError
from automcu.mcu import Device
from tests.compiler.read.tflite_writer import TfliteWriter

SHAPE = "1,4,3,3"
SIZE = 36
NOISE = np.random.default_rng(3)


def numbers(values: np.ndarray) -> str:
    return "{" + ", ".join(f"{value:.6g}" for value in values.reshape(-1)) + "}"


LAYERS = {
    "constants for each value": "Add(FROM, each)",
    "a constant for each channel": "Mul(FROM, channel)",
    "a sum of itself": "Add(FROM, FROM)",
    "a product": "Mul(FROM, FROM)",
    "a clamp": "Relu(FROM)",
    "a function": "Sigmoid(FROM)",
    "an average": "AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>(FROM)",
    "a maximum": "MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(FROM)",
    "a softmax": "Softmax<axis=1>(FROM)",
    "a layer norm": "LayerNormalization<axis=-1>(FROM, gains)",
    "an exchange of axes": "Transpose<perm=[0,1,3,2]>(FROM)",
    "a convolution": "Conv<kernel_shape=[1,1]>(FROM, w, b)",
}


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Chains of layers, quantised behind each or not, on scales over sixty decades."""
    lines, constants = [], []
    name = "x"
    kinds = draw(st.lists(st.sampled_from(list(LAYERS)), min_size=1, max_size=4))
    for index, kind in enumerate(kinds):
        call = LAYERS[kind]
        lines.append(f"t{index} = {call.replace('FROM', name)}")
        name = f"t{index}"
        if draw(st.integers(0, 2)):
            scale = 10 ** draw(st.one_of(st.floats(-3, 1), st.floats(-3, 1), st.floats(-45, 38)))
            constants.append(f"float s{index} = {{{scale:.6g}}}")
            constants.append(f"int8 z{index} = {{{draw(st.integers(-128, 127))}}}")
            lines.append(f"q{index} = QuantizeLinear({name}, s{index}, z{index})")
            lines.append(f"d{index} = DequantizeLinear(q{index}, s{index}, z{index})")
            name = f"d{index}"
    scales = 10 ** NOISE.uniform(-3, -1, 4)
    scales[0] = 10 ** draw(st.one_of(st.floats(-3, -1), st.floats(-45, 38)))
    constants += [
        f"float[{SHAPE}] each = {numbers(NOISE.normal(0, 1, SIZE))}",
        f"float[1,4,1,1] channel = {numbers(NOISE.normal(0, 1, 4))}",
        f"float[3] gains = {numbers(NOISE.normal(1, 1, 3))}",
        f"int8[4,4,1,1] wq = {numbers(NOISE.integers(-127, 128, 16))}",
        f"float[4] ws = {numbers(scales)}",
        "int8[4] wz = {0, 0, 0, 0}",
        f"float[4] b = {numbers(NOISE.normal(0, 1, 4))}",
    ]
    body = "\n".join(lines)
    model = onnx.parser.parse_model(f"""
        <ir_version: 9, opset_import: ["" : 17]>
        model (int8[{SHAPE}] input) => (int8[M] output)
        <float s = {{0.05}}, int8 z = {{3}}, {", ".join(constants)}>
        {{
            x = DequantizeLinear(input, s, z)
            w = DequantizeLinear<axis=0>(wq, ws, wz)
            {body}
            output = QuantizeLinear({name}, s, z)
        }}
    """)
    return model.SerializeToString()


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=files())
def test_what_is_imported_is_compiled_to_c(
    content: bytes, portable_device: Device, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.onnx"
    path.write_bytes(content)
    try:
        graph = import_model(path)
    except UnsupportedModelError:
        return
    assert "model_run" in render_model(compile_graph(graph, portable_device))["model.c"]


def qdq(folder: Path, body: str, constants: str = "", given: str = "int8") -> Path:
    model = onnx.parser.parse_model(f"""
        <ir_version: 9, opset_import: ["" : 17]>
        model ({given}[1,2,3,3] input) => ({given}[M] output)
        <float s = {{0.5}}, {given} z = {{0}}{", " if constants else ""}{constants}>
        {{ {body} }}
    """)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return folder / "model.onnx"


def test_constants_for_each_value_are_clamped_behind_their_sum(
    tmp_path: Path, portable_device: Device
) -> None:
    body = """x = DequantizeLinear(input, s, z) a = Sub(x, c) y = Relu(a)
        output = QuantizeLinear(y, s, z)"""
    constants = NOISE.normal(0, 3, (1, 2, 3, 3))
    path = qdq(tmp_path, body, f"float[1,2,3,3] c = {numbers(constants)}")
    program = compile_graph(import_model(path), portable_device)
    image = NOISE.integers(-40, 40, (1, 3, 3, 2), dtype=np.int8)
    result = program.run(image).reshape(image.shape)
    exact = np.maximum(image * 0.5 - constants.transpose(0, 2, 3, 1), 0) / 0.5
    assert np.abs(result - exact).max() <= 1


@pytest.mark.parametrize("layer", ["Softmax<axis=1>", "Sigmoid", "LayerNormalization"])
def test_a_clamp_is_taken_behind_layers_that_have_none(layer: str, tmp_path: Path) -> None:
    call = f"{layer}(x, gains)" if layer == "LayerNormalization" else f"{layer}(x)"
    body = (
        f"x = DequantizeLinear(input, s, z) a = {call} y = Relu(a) output = QuantizeLinear(y, s, z)"
    )
    import_model(qdq(tmp_path, body, "float[3] gains = {1, -2, 0.5}"))


@pytest.mark.parametrize(("given", "zero"), [("int8", 0), ("uint8", -128)])
def test_a_zero_point_that_is_left_out_is_zero_in_the_type_that_is_read(
    given: str, zero: int, tmp_path: Path
) -> None:
    body = "x = DequantizeLinear(input, s) y = Relu(x) output = QuantizeLinear(y, s, z)"
    graph = import_model(qdq(tmp_path, body, given=given))
    quantisation = graph.tensors[graph.input].quantisation
    assert quantisation is not None and quantisation.zero_point == zero


def test_a_zero_point_that_is_left_out_where_another_was_written_is_refused(tmp_path: Path) -> None:
    body = """x = DequantizeLinear(input, s, z) r = Relu(x) q = QuantizeLinear(r, s, low)
        moved = Identity(q) d = DequantizeLinear(moved, s) output = QuantizeLinear(d, s, z)"""
    with pytest.raises(UnsupportedModelError, match=r"'moved' with another scale or zero point"):
        import_model(qdq(tmp_path, body, "int8 low = {-128}"))


SCALES = ["3e38", "1e-40", "-0.1", "0"]


@pytest.mark.parametrize("scale", SCALES)
def test_an_activation_s_scale_that_means_nothing_is_named(scale: str, tmp_path: Path) -> None:
    body = """x = DequantizeLinear(input, s, z) y = Relu(x) q = QuantizeLinear(y, odd, z)
        d = DequantizeLinear(q, odd, z) output = QuantizeLinear(d, s, z)"""
    with pytest.raises(UnsupportedModelError, match=r"'odd'.* has a scale of "):
        import_model(qdq(tmp_path, body, f"float odd = {{{scale}}}"))


@pytest.mark.parametrize("scale", SCALES[:3])
def test_a_weight_s_scale_that_means_nothing_is_named(scale: str, tmp_path: Path) -> None:
    body = """x = DequantizeLinear(input, s, z) w = DequantizeLinear<axis=0>(wq, odd, wz)
        y = Conv(x, w) output = QuantizeLinear(y, s, z)"""
    constants = (
        f"int8[2,2,1,1] wq = {{1,2,3,4}}, float[2] odd = {{0.1, {scale}}}, int8[2] wz = {{0,0}}"
    )
    with pytest.raises(UnsupportedModelError, match=r"'odd'.* for channel 1: a scale is finite"):
        import_model(qdq(tmp_path, body, constants))


def tflite_convolution(
    folder: Path,
    weight_scales: tuple[float, ...] = (0.1, 0.1),
    weight_zero_points: tuple[int, ...] = (0,),
    bias_scale: float = 0.05,
    result_scale: float = 0.5,
    result_zero_point: int = 0,
) -> Path:
    writer = TfliteWriter()
    x = writer.activation((1, 3, 3, 2), 0.5, 0)
    w = writer.constant(np.ones((2, 1, 1, 2), np.int8), weight_scales, weight_zero_points)
    b = writer.constant(np.array([100, -100], np.int32), [bias_scale])
    y = writer.activation((1, 3, 3, 2), result_scale, result_zero_point)
    settings = {"StrideH": 1, "StrideW": 1, "Padding": 1}
    writer.layer("CONV_2D", (x, w, b), y, "Conv2DOptions", **settings)
    path = folder / "model.tflite"
    path.write_bytes(writer.content(x, y))
    return path


def test_a_usual_tflite_convolution_is_read(tmp_path: Path) -> None:
    import_model(tflite_convolution(tmp_path))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"weight_scales": (0.1, 3e38)}, "'tensor_1' has a scale of 3e[+]38 for channel 1"),
        ({"weight_scales": (0.1, float("nan"))}, "'tensor_1' has a scale of nan for channel 1"),
        ({"weight_scales": (0.1, 0.1, 0.1)}, "3 scales for 2 channels"),
        ({"weight_zero_points": (1000,)}, "'tensor_1' has a zero point of 1000, which is no int8"),
        ({"weight_zero_points": (0, 0, 0)}, "3 zero points for 2 scales"),
        ({"bias_scale": 0.1}, "bias 'tensor_2' of the scale 0.1, where .* ask for 0.05"),
        ({"result_scale": float("inf")}, "has a scale of inf"),
        ({"result_zero_point": 300}, "zero point 300"),
    ],
)
def test_a_tflite_tensor_s_scale_that_means_nothing_is_named(
    changed: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedModelError, match=message):
        import_model(tflite_convolution(tmp_path, **changed))  # type: ignore[arg-type]

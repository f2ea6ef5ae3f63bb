"""Float files as exporters write them: whatever the importer takes quantised, it takes from here.

Each network is ONNX's own text. Inputs other than x are constants, drawn at random.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from automcu.compiler import compile_graph, import_model
from automcu.errors import UnsupportedModelError, WrongInputError
from automcu.mcu import find_device
from automcu.user_model.quantise import Calibrated, calibrate_model_file

SQNR_DB = 30.0
"""What one 8-bit layer after another leaves of a signal without outliers, at least."""

Calibrate = Callable[..., Calibrated]

IMAGE, VECTOR, ROWS = "float[1,3,8,8] x", "float[1,8] x", "float[1,10,8] x"
W, B = "float[4,3,3,3] w", "float[4] b"

NETWORKS = {
    # affine layers, first, alone and behind a convolution
    "batch normalisation first": f"""
        ({IMAGE}, float[3] s, float[3] o, float[3] m, float[3] v, {W}, {B}) => (float y) {{
        n = BatchNormalization(x, s, o, m, v)  y = Conv(n, w, b) }}""",
    "batch normalisation alone": f"""
        ({IMAGE}, float[3] s, float[3] o, float[3] m, float[3] v) => (float y) {{
        y = BatchNormalization(x, s, o, m, v) }}""",
    "batch normalisation of a vector": """
        (float[1,8] x, float[8] s, float[8] o, float[8] m, float[8] v, float[8,4] w) => (float y) {
        n = BatchNormalization(x, s, o, m, v)  y = Gemm(n, w) }""",
    "a division by 255 first": f"""
        ({IMAGE}, {W}, {B}) => (float y) {{
        c = Constant<value = float {{255.0}}>()  n = Div(x, c)  y = Conv(n, w, b) }}""",
    "standardised first": f"""
        ({IMAGE}, float[1,3,1,1] m, float[3,1,1] s, {W}, {B}) => (float y) {{
        d = Sub(x, m)  n = Div(d, s)  y = Conv(n, w, b) }}""",
    "constants for each pixel": f"""
        ({IMAGE}, float[1,1,8,8] p, {W}, {B}) => (float y) {{
        n = Mul(x, p)  k = Conv(n, w, b)  y = Relu(k) }}""",
    "constants for each pixel, then a ReLU": f"""
        ({IMAGE}, float[3,8,8] p) => (float y) {{ n = Add(x, p)  y = Relu(n) }}""",
    "a constant less the input": f"""
        ({IMAGE}, float[3,1,1] c) => (float y) {{ y = Sub(c, x) }}""",
    # functions of one value
    "hard-swish": f"({IMAGE}, {W}, {B}) => (float y) {{ t = Conv(x, w, b)  y = HardSwish(t) }}",
    "a PReLU with one slope": f"""
        ({IMAGE}, {W}, {B}) => (float y) {{ t = Conv(x, w, b)
        s = Constant<value = float[1,1,1] {{0.2}}>()  y = PRelu(t, s) }}""",
    "SiLU in two layers": f"""
        ({IMAGE}, {W}, {B}) => (float y) {{ t = Conv(x, w, b)  s = Sigmoid(t)  y = Mul(t, s) }}""",
    "SiLU as a quotient": f"""
        ({IMAGE}, {W}, {B}) => (float y) {{ t = Conv(x, w, b)  n = Neg(t)  e = Exp(n)
        one = Constant<value = float {{1.0}}>()  d = Add(e, one)  y = Div(t, d) }}""",
    "GELU spelled out": f"""
        ({IMAGE}, {W}, {B}) => (float y) {{ t = Conv(x, w, b)
        r = Constant<value = float {{1.41421356}}>()  d = Div(t, r)  e = Erf(d)
        one = Constant<value = float {{1.0}}>()  p = Add(e, one)  m = Mul(t, p)
        half = Constant<value = float {{0.5}}>()  y = Mul(m, half) }}""",
    "limits": f"""
        ({IMAGE}, {W}, {B}) => (float y) {{ t = Conv(x, w, b)
        low = Constant<value = float {{-0.3}}>()  high = Constant<value = float {{0.4}}>()
        m = Max(t, low)  y = Min(m, high) }}""",
    # what only moves values
    "a border of a value of its own": f"""
        ({IMAGE}, {W}, {B}) => (float y) {{
        p = Constant<value = int64[8] {{0,0,1,1,0,0,1,1}}>()
        v = Constant<value = float {{-9.0}}>()  t = Pad(x, p, v)  y = Conv(t, w, b) }}""",
    "a nearest resize": f"""
        ({IMAGE}, {W}, {B}) => (float y) {{ t = Conv(x, w, b)
        none = Constant<value = float[0] {{}}>()
        s = Constant<value = float[4] {{1.0,1.0,2.0,2.0}}>()
        r = Resize<mode="nearest", coordinate_transformation_mode="asymmetric",
                   nearest_mode="floor">(t, none, s)
        y = Relu(r) }}""",
    "joins": f"""
        ({IMAGE}, {W}, {B}) => (float y) {{
        t = Conv<pads=[1,1,1,1]>(x, w, b)  r = Relu(t)  y = Concat<axis=1>(x, r) }}""",
    "a split and a sum": f"""
        ({IMAGE}, {W}, {B}) => (float y) {{ t = Conv(x, w, b)
        s = Constant<value = int64[2] {{2,2}}>()  p, q = Split<axis=1>(t, s)  y = Sub(p, q) }}""",
    "a channel shuffle": f"""
        ({IMAGE}, {W}, {B}) => (float y) {{ t = Conv<pads=[1,1,1,1]>(x, w, b)
        s = Constant<value = int64[5] {{1,2,2,8,8}}>()  r = Reshape(t, s)
        q = Transpose<perm=[0,2,1,3,4]>(r)
        u = Constant<value = int64[4] {{1,4,8,8}}>()  y = Reshape(q, u) }}""",
    "a slice, a squeeze": f"""
        ({IMAGE}, {W}, {B}) => (float y) {{ t = Conv(x, w, b)
        a = Constant<value = int64[1] {{1}}>()  e = Constant<value = int64[1] {{2}}>()
        s = Slice(t, a, e, a)  y = Squeeze(s, a) }}""",
    # products
    "alpha, beta, transA and transB": """
        (float[8,1] c, float[1,8] x, float[4,8] w, float[1,4] b) => (float y) {
        t = Transpose<perm=[1,0]>(x)
        y = Gemm<alpha=0.5, beta=2.0, transA=1, transB=1>(t, w, b) }""",
    "a bias of one number": f"""
        ({VECTOR}, float[8,4] w, float[1] b) => (float y) {{ y = Gemm(x, w, b) }}""",
    "a bias without axes": f"""
        ({VECTOR}, float[8,4] w, float b) => (float y) {{ y = Gemm<beta=3.0>(x, w, b) }}""",
    "a bias that is computed": f"""
        ({VECTOR}, float[8,8] w) => (float y) {{ y = Gemm<beta=0.5>(x, w, x) }}""",
    "products and sums apart": f"""
        ({VECTOR}, float[8,6] w, float[1,6] b, float[6,3] v, float[1,3] c) => (float y) {{
        p = MatMul(x, w)  s = Add(p, b)  r = Relu(s)  q = MatMul(r, v)  y = Add(q, c) }}""",
    "rows with a bias": f"""
        ({ROWS}, float[8,6] w, float[6] b) => (float y) {{
        p = MatMul(x, w)  s = Add(b, p)  y = Relu(s) }}""",
    "rows with a constant each": f"""
        ({ROWS}, float[8,6] w, float[1,10,6] b) => (float y) {{
        p = MatMul(x, w)  s = Add(p, b)  y = Relu(s) }}""",
    "a channel that is almost dead": f"""
        ({IMAGE}, {W}, {B}) => (float y) {{ t = Conv(x, w, b)
        s = Constant<value = float[4,1,1] {{1.0, 0.0, 0.000000001, 2.0}}>()  y = Mul(t, s) }}""",
    # what networks are made of
    "squeeze and excite": f"""
        ({IMAGE}, {W}, {B}, float[4,4,1,1] v) => (float y) {{
        t = Conv(x, w, b)  r = Relu(t)  g = GlobalAveragePool(r)  c = Conv(g, v)
        h = HardSigmoid(c)  y = Mul(r, h) }}""",
    "a residual": f"""
        ({IMAGE}, float[3,3,3,3] w) => (float y) {{
        t = Conv<pads=[1,1,1,1]>(x, w)  s = Add(t, x)  y = Relu(s) }}""",
    "layer norm": f"""
        ({ROWS}, float[8] s, float[8] o) => (float y) {{ y = LayerNormalization(x, s, o) }}""",
    "a sequence to a sequence": """
        (float[1,3,32] x, float[6,3,3] w, float[6] b, float[3,6,3] v) => (float y) {
        t = Conv<pads=[1,1]>(x, w, b)  r = Relu(t)  y = Conv<pads=[1,1]>(r, v) }""",
    "an image that is channels-last": f"""
        (float[1,8,8,3] x, {W}, {B}) => (float y) {{
        t = Transpose<perm=[0,3,1,2]>(x)  c = Conv(t, w, b)
        y = Transpose<perm=[0,2,3,1]>(c) }}""",
    "an open batch size": f"""
        (float[n,3,8,8] x, {W}, {B}, float[144,3] v) => (float y) {{
        t = Conv(x, w, b)  s = Shape(t)  zero = Constant<value = int64[1] {{0}}>()
        f = Gather(s, zero)  rest = Constant<value = int64[1] {{-1}}>()
        q = Concat<axis=0>(f, rest)  r = Reshape(t, q)  y = Gemm(r, v) }}""",
}


def write(text: str, path: Path, opset: int = 18) -> tuple[int, ...]:
    """Write the network; the shape of x."""
    generator = np.random.default_rng(0)
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["": {opset}]> network {text}')
    shape: tuple[int, ...] = ()
    for value in list(model.graph.input):
        sizes = [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]
        if value.name == "x":
            shape = tuple(sizes)
            continue
        drawn = generator.uniform(0.5, 1.5, sizes) * (1 if value.name in "sv" else 0.3)
        if value.name not in "sv":
            drawn *= generator.choice((-1, 1), sizes)
        array = np.asarray(drawn, np.float32)
        model.graph.initializer.append(numpy_helper.from_array(array, value.name))
        model.graph.input.remove(value)
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    onnx.save(model, path)
    return shape


@pytest.fixture
def calibrate(tmp_path: Path) -> Calibrate:
    def run(text: str, opset: int = 18) -> Calibrated:
        shape = write(text, tmp_path / "float.onnx", opset)
        inputs = np.random.default_rng(1).normal(size=(24, *shape[1:])).astype(np.float32)
        np.savez(tmp_path / "x.npz", x=inputs)
        return calibrate_model_file(
            tmp_path / "float.onnx", str(tmp_path / "x.npz"), tmp_path / "int8.onnx"
        )

    return run


@pytest.mark.parametrize("name", NETWORKS)
def test_what_the_importer_takes_can_be_calibrated(
    calibrate: Calibrate, tmp_path: Path, name: str
) -> None:
    found = calibrate(NETWORKS[name])
    assert found.sqnr_db is not None
    assert found.sqnr_db > SQNR_DB
    graph = import_model(tmp_path / "int8.onnx")
    assert compile_graph(graph, find_device("f407")).graph.operators
    onnx.checker.check_model(onnx.load(tmp_path / "int8.onnx"))


@pytest.mark.parametrize("opset", [9, 10])
def test_an_upsample_of_an_old_file_is_a_resize(calibrate: Calibrate, opset: int) -> None:
    kind = "Upsample" if opset == 9 else "Resize"
    text = f"""({IMAGE}, {W}, {B}) => (float y) {{ t = Conv(x, w, b)
        k = Constant<value = float[4] {{1.0,1.0,2.0,2.0}}>()
        y = {kind}<mode="nearest">(t, k) }}"""
    assert (calibrate(text, opset).sqnr_db or 0) > SQNR_DB


def test_functions_of_one_value_become_one_table(calibrate: Calibrate, tmp_path: Path) -> None:
    calibrate(NETWORKS["GELU spelled out"])
    graph = compile_graph(import_model(tmp_path / "int8.onnx"), find_device("f407")).graph
    assert len(graph.operators) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "(float[1,16,4] x, float[1,12,4] w, float[1,12,3] r) => (float y) {"
            " y = LSTM<hidden_size=3>(x, w, r) }",
            "is an LSTM, which cannot be compiled",
        ),
        (f"({VECTOR}) => (float y) {{ y = Foo(x) }}", "layer Foo_0 is a Foo, which cannot be"),
        (
            f"({IMAGE}, {W}) => (float y) {{ t = Log(x)  y = Conv(t, w) }}",
            r"layer .* \(Log\) of the float model gives values that are not finite",
        ),
        ("(float[4,3,8,8] x) => (float y) { y = Relu(x) }", "takes 4 inputs at once"),
        ("(float[1,3,h,8] x) => (float y) { y = Relu(x) }", "has no fixed size"),
        ("(float[1,3,0,8] x) => (float y) { y = Relu(x) }", "which holds no values"),
    ],
)
def test_what_cannot_be_calibrated_is_reported_by_its_name(
    calibrate: Calibrate, text: str, message: str
) -> None:
    with pytest.raises(UnsupportedModelError, match=message):
        calibrate(text)


def test_weights_in_a_file_beside_the_model_are_read_or_missed_by_name(
    calibrate: Calibrate, tmp_path: Path
) -> None:
    write(NETWORKS["hard-swish"], tmp_path / "single.onnx")
    onnx.save(
        onnx.load(tmp_path / "single.onnx"),
        tmp_path / "apart.onnx",
        save_as_external_data=True,
        location="apart.onnx.data",
        size_threshold=0,
    )
    data = np.random.default_rng(1).normal(size=(24, 3, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=data)
    files = tmp_path / "apart.onnx", str(tmp_path / "x.npz"), tmp_path / "int8.onnx"
    assert calibrate_model_file(*files).inputs == 24
    (tmp_path / "apart.onnx.data").unlink()
    with pytest.raises(WrongInputError, match=r"its weights in apart\.onnx\.data, which is not"):
        calibrate_model_file(*files)

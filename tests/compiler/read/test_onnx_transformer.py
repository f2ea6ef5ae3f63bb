"""LayerNormalization and Attention of ONNX files, against onnxruntime."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from automcu.compiler import import_onnx, run_reference
from automcu.compiler.ops import AddConstant, Attention, LayerNorm
from automcu.errors import UnsupportedModelError

TOKENS, CHANNELS, HEADS = 9, 12, 2
SCALES = {"x": 0.04, "y": 0.03}
ZERO_POINTS = {"x": -4, "y": 7}


def save(path: Path, nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray]) -> None:
    """A model of float nodes from `xd` to `p`, [1, tokens, channels], with QDQ around them."""
    arrays = dict(constants)
    for name in ("x", "y"):
        arrays[f"{name}_scale"] = np.array(SCALES[name], np.float32)
        arrays[f"{name}_zero"] = np.array(ZERO_POINTS[name], np.int8)
    around = [
        helper.make_node("QuantizeLinear", ["x", "x_scale", "x_zero"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "x_scale", "x_zero"], ["xd"]),
        *nodes,
        helper.make_node("QuantizeLinear", ["p", "y_scale", "y_zero"], ["pq"]),
        helper.make_node("DequantizeLinear", ["pq", "y_scale", "y_zero"], ["y"]),
    ]
    graph = helper.make_graph(
        around,
        "transformer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, TOKENS, CHANNELS])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11), path
    )


def furthest(path: Path, kind: type) -> float:
    """The largest difference from onnxruntime, in steps of the result."""
    graph = import_onnx(path)
    assert any(isinstance(operator.attributes, kind) for operator in graph.operators)
    inputs = np.random.default_rng(0).integers(-128, 128, (1, TOKENS, CHANNELS), dtype=np.int8)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    real = (inputs.astype(np.float32) - ZERO_POINTS["x"]) * np.float32(SCALES["x"])
    (expected,) = session.run(None, {"x": real})
    steps = np.rint(expected / SCALES["y"]) + ZERO_POINTS["y"]
    ours = run_reference(graph, inputs[None]).reshape(steps.shape)
    return float(np.abs(ours - steps).max())


def test_a_layer_norm_is_within_a_step_of_onnxruntime(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    path = tmp_path / "norm.onnx"
    save(
        path,
        [helper.make_node("LayerNormalization", ["xd", "gain", "offset"], ["p"])],
        {
            "gain": np.sign(generator.normal(0, 1, CHANNELS)).astype(np.float32),
            "offset": generator.normal(0, 0.3, CHANNELS).astype(np.float32),
        },
    )
    assert furthest(path, LayerNorm) <= 1


def attention_nodes(**settings: int) -> list[onnx.NodeProto]:
    attributes = {"q_num_heads": HEADS, "kv_num_heads": HEADS} | settings
    return [
        helper.make_node("Split", ["xd"], ["q", "k", "v"], axis=2, num_outputs=3),
        helper.make_node("Attention", ["q", "k", "v"], ["p"], **attributes),
    ]


def test_attention_is_within_a_step_of_onnxruntime(tmp_path: Path) -> None:
    path = tmp_path / "attention.onnx"
    save(path, attention_nodes(), {})
    assert furthest(path, Attention) <= 1


def test_masked_attention_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "attention.onnx"
    save(path, attention_nodes(is_causal=1), {})
    with pytest.raises(UnsupportedModelError, match="plain self-attention"):
        import_onnx(path)


def test_attention_of_a_tensor_to_itself_says_how_it_should_be(tmp_path: Path) -> None:
    path = tmp_path / "attention.onnx"
    node = helper.make_node(
        "Attention", ["xd", "xd", "xd"], ["p"], q_num_heads=HEADS, kv_num_heads=HEADS
    )
    save(path, [node], {})
    with pytest.raises(UnsupportedModelError, match="one linear layer"):
        import_onnx(path)


def test_an_embedding_of_positions_is_a_sum_with_constants(tmp_path: Path) -> None:
    path = tmp_path / "positions.onnx"
    positions = np.random.default_rng(2).normal(0, 0.5, (1, TOKENS, CHANNELS)).astype(np.float32)
    save(path, [helper.make_node("Add", ["xd", "e"], ["p"])], {"e": positions})
    assert furthest(path, AddConstant) <= 1

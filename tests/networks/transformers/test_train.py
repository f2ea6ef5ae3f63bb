"""A ternary transformer as a file: onnxruntime, the compiler and torch agree on it."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from automcu.compiler import compile_graph, import_onnx, run_reference
from automcu.compiler.ops import Attention, Convolution, LayerNorm, Rearrange
from automcu.compiler.passes import optimise
from automcu.errors import WrongInputError
from automcu.mcu import find_device
from automcu.networks.transformers.family import TransformerShape
from automcu.networks.transformers.torch import build_vision_transformer, export_transformer
from tests.compiler.isa.test_special_kernels import first_wrong_layer

SHAPE = TransformerShape(resolution=12, patch=4, dim=24, depth=2, heads=2, mlp_ratio=2)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).random((32, 12, 12, 1), dtype=np.float32)


@pytest.fixture
def model(images: np.ndarray, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = build_vision_transformer(SHAPE)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    path = tmp_path / "transformer.onnx"
    export_transformer(network, images, path)
    return path


def test_all_weights_are_of_two_bits(model: Path) -> None:
    file = onnx.load(model)
    integers = [one for one in file.graph.initializer if one.name.endswith(".integers")]
    assert len(integers) == 2 + 4 * SHAPE.depth
    assert {one.data_type for one in integers} == {onnx.TensorProto.INT2}


@pytest.mark.parametrize("rewriting", ["0", "1"], ids=["as it is", "without its rewriting"])
def test_the_compiler_reads_all_weights_as_ternary_and_agrees_with_onnxruntime(
    model: Path, images: np.ndarray, rewriting: str
) -> None:
    graph = optimise(import_onnx(model))
    layers = [operator.attributes for operator in graph.operators]
    products = [layer for layer in layers if isinstance(layer, Convolution)]
    assert len(products) == 2 + 4 * SHAPE.depth and all(layer.ternary for layer in products)
    assert [layer.shared_scale for layer in products] == [False] + [True] * (len(products) - 1)
    assert sum(isinstance(layer, Attention) for layer in layers) == SHAPE.depth
    assert sum(isinstance(layer, LayerNorm) for layer in layers) == 2 * SHAPE.depth + 1
    assert sum(isinstance(layer, Rearrange) for layer in layers) <= 1, "nothing else moves"

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.disable_quant_qdq", rewriting)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    pixels = np.rint(images * 255) / np.float32(255)
    expected = np.concatenate(
        [session.run(None, {"input": image.transpose(2, 0, 1)[None]})[0] for image in pixels]
    )
    quantisation = graph.tensors[graph.output].quantisation
    assert quantisation is not None
    integers = (np.rint(images * 255) - 128).astype(np.int8)
    steps = run_reference(graph, integers).astype(np.float64) - quantisation.zero_point
    assert np.abs(steps - expected / quantisation.scale).max() <= 8
    assert np.abs(steps - expected / quantisation.scale).mean() <= 1.5


def test_the_machine_code_of_a_transformer_computes_the_reference(
    model: Path, tmp_path: Path
) -> None:
    device = find_device("nucleo-l4r5zi")
    program = compile_graph(import_onnx(model), device)
    assert first_wrong_layer(program, device, tmp_path / "check") is None


def test_a_float_transformer_is_refused(images: np.ndarray, tmp_path: Path) -> None:
    network = build_vision_transformer(SHAPE, ternary=False)
    with pytest.raises(WrongInputError, match="ternary"):
        export_transformer(network, images, tmp_path / "float.onnx")

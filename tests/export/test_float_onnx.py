import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto, numpy_helper
from torch import Tensor, nn

from automcu.errors import UnsupportedModelError
from automcu.export.float_onnx import export_onnx
from automcu.export.quantise import onnx_logits

Build = Callable[..., nn.Module]

EXPECTED_OPERATORS = {"Add", "AveragePool", "Conv", "Flatten", "Gemm", "GlobalAveragePool", "Relu"}


def _outputs(network: nn.Module, inputs: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        result: np.ndarray = network(torch.from_numpy(inputs.transpose(0, 3, 1, 2))).numpy()
        return result


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape).astype(np.float32)


def _attributes(node: onnx.NodeProto) -> dict[str, object]:
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def _constants(model: ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


@pytest.mark.parametrize("resolution", [8, 7])
def test_the_file_computes_what_the_network_does(
    build: Build, cell: str, resolution: int, tmp_path: Path
) -> None:
    network, path = build(cell, resolution), tmp_path / "model.onnx"
    export_onnx(network, (resolution, resolution, 1), path)
    inputs = _random(5, resolution, resolution, 1)
    expected = _outputs(network, inputs)
    assert np.abs(expected).max() > 0.1
    assert np.abs(onnx_logits(path, inputs) - expected).max() < 1e-4
    assert np.abs(onnx_logits(path, inputs[:1]) - expected[:1]).max() < 1e-4


def test_only_operators_that_the_compiler_reads_are_left(
    build: Build, cell: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    export_onnx(build(cell), (8, 8, 1), path)
    model = onnx.load(path)
    assert {node.op_type for node in model.graph.node} <= EXPECTED_OPERATORS
    assert model.opset_import[0].version >= 17
    [source], [result] = model.graph.input, model.graph.output
    assert (source.name, result.name) == ("input", "logits")
    assert [d.dim_value for d in source.type.tensor_type.shape.dim][1:] == [1, 8, 8]
    assert [d.dim_value for d in result.type.tensor_type.shape.dim][1:] == [10]
    for tensor in model.graph.value_info:
        assert all(d.dim_value > 0 for d in list(tensor.type.tensor_type.shape.dim)[1:])


def test_batch_normalisation_behind_a_convolution_is_folded_into_it(tmp_path: Path) -> None:
    convolution, norm = nn.Conv2d(2, 3, 3, bias=True), nn.BatchNorm2d(3, eps=0.01)
    torch.manual_seed(0)
    nn.init.uniform_(norm.weight, 0.5, 2.0)
    nn.init.normal_(norm.bias)
    norm.running_mean, norm.running_var = torch.tensor([0.1, -0.2, 0.3]), torch.tensor([1.0, 2, 3])
    path = tmp_path / "model.onnx"
    export_onnx(nn.Sequential(convolution, norm), (5, 5, 2), path)
    model = onnx.load(path)
    assert [node.op_type for node in model.graph.node] == ["Conv"]
    weight, bias = (_constants(model)[name] for name in model.graph.node[0].input[1:])
    factor = (norm.weight / torch.sqrt(norm.running_var + 0.01)).detach().numpy()
    shift = (convolution.bias - norm.running_mean).detach().numpy()
    assert np.allclose(weight, convolution.weight.detach().numpy() * factor[:, None, None, None])
    assert np.allclose(bias, shift * factor + norm.bias.detach().numpy(), atol=1e-6)


def test_batch_normalisation_of_a_sum_becomes_a_depthwise_convolution(
    build: Build, tmp_path: Path
) -> None:
    network, path = build("residual"), tmp_path / "model.onnx"
    export_onnx(network, (8, 8, 1), path)
    model = onnx.load(path)
    [node] = [node for node in model.graph.node if node.name == "last_activation_batchnorm"]
    assert node.op_type == "Conv"
    assert _attributes(node) == {"group": 16, "kernel_shape": [1, 1]}
    assert _constants(model)[node.input[1]].shape == (16, 1, 1, 1)


def test_batch_normalisation_of_vectors_is_refused_with_advice(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Flatten(), nn.ReLU(), nn.BatchNorm1d(4))
    with pytest.raises(UnsupportedModelError, match="Normalise before the pooling"):
        export_onnx(network, (2, 2, 1), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_names_come_from_modules_and_serve_as_c_identifiers(build: Build, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    export_onnx(build("many branches", cells_per_stage=2), (8, 8, 1), path)
    graph = onnx.load(path).graph
    names = [node.name for node in graph.node]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)
    assert {
        "stem_conv3x3",
        "stage0_cell0_0_to_2_conv3x3",
        "stage2_cell1_2_to_3_avgpool3x3",
        "reduction1_shortcut_conv1x1",
        "reduction0_convolutions_4_conv3x3",
        "classifier_gemm",
    } <= set(names)
    for node in graph.node[:-1]:
        assert list(node.output) == [node.name]
        assert all(name.startswith(node.name) for name in node.input[1:] if node.op_type == "Conv")


def test_exporting_twice_gives_the_same_bytes(build: Build, tmp_path: Path) -> None:
    for name in ("a.onnx", "b.onnx"):
        export_onnx(build("many branches"), (8, 8, 1), tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_equal_weights_of_two_layers_stay_two_constants(tmp_path: Path) -> None:
    first, second = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1)
    second.load_state_dict(first.state_dict())
    network, path = nn.Sequential(first, nn.ReLU(), second), tmp_path / "model.onnx"
    export_onnx(network, (4, 4, 1), path)
    model = onnx.load(path)
    assert [node.op_type for node in model.graph.node] == ["Conv", "Relu", "Conv"]
    assert len(model.graph.initializer) == 4
    inputs = _random(2, 4, 4, 1)
    assert np.allclose(onnx_logits(path, inputs), _outputs(network, inputs), atol=1e-6)


def test_exporting_is_silent_and_leaves_the_network_in_its_mode(
    build: Build,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> None:
    network = build("residual").train()
    before = [value.clone() for value in network.state_dict().values()]
    export_onnx(network, (8, 8, 1), tmp_path / "model.onnx")
    assert network.training
    assert all(map(torch.equal, before, network.state_dict().values()))
    assert capfd.readouterr() == ("", "")
    assert len(recwarn) == 0
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


def test_an_operation_without_onnx_form_is_an_error_with_advice(tmp_path: Path) -> None:
    class Unusual(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.linalg.eigvalsh(images)

    with pytest.raises(UnsupportedModelError, match="cannot be written as ONNX"):
        export_onnx(Unusual(), (4, 4, 1), tmp_path / "model.onnx")

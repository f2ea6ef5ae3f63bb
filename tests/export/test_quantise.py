"""A ternary cell network keeps its function on the way to the compiler, and its cost."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper
from torch import nn

from automcu.compiler import compile_graph, import_onnx
from automcu.compiler.ops import Add
from automcu.cost.estimation import estimate_program
from automcu.datasets.load import load_dataset
from automcu.datasets.record import Dataset
from automcu.errors import UnsupportedModelError, WrongInputError
from automcu.export.float_onnx import export_onnx
from automcu.export.quantise import (
    float_islands,
    onnx_accuracy,
    onnx_logits,
    quantise_onnx,
    write_ternary_weights,
)
from automcu.mcu import find_device
from automcu.networks.cells.cell import Cell
from automcu.networks.cells.skeleton import Architecture, Skeleton
from automcu.networks.cells.torch import build_network
from automcu.networks.estimate import estimate
from automcu.training.loop import train
from automcu.training.records import Recipe
from automcu.training.ternary import with_ternary_values

Build = Callable[..., nn.Module]


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits")


def _quantised(network: nn.Module, dataset: Dataset, folder: Path) -> tuple[Path, Path]:
    plain, quantised = folder / "float.onnx", folder / "quantised.onnx"
    export_onnx(network, dataset.input_shape, plain)
    quantise_onnx(plain, dataset.train.inputs[:256], quantised)
    return plain, quantised


def _constants(model: ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def _producers(model: ModelProto) -> dict[str, NodeProto]:
    return {name: node for node in model.graph.node for name in node.output}


def test_no_operator_is_left_in_floating_point(
    build: Build, cell: str, digits: Dataset, tmp_path: Path
) -> None:
    plain, quantised = _quantised(build(cell), digits, tmp_path)
    assert float_islands(onnx.load(quantised)) == []
    assert len(float_islands(onnx.load(plain))) == len(onnx.load(plain).graph.node)


def test_quantised_networks_compute_nearly_the_same(
    build: Build, cell: str, digits: Dataset, tmp_path: Path
) -> None:
    plain, quantised = _quantised(build(cell), digits, tmp_path)
    expected, found = (onnx_logits(path, digits.test.inputs) for path in (plain, quantised))
    error = np.sqrt(np.mean((expected - found) ** 2))
    assert error < 0.015 * np.abs(expected).max()


def test_weights_are_symmetric_per_channel_and_biases_have_the_product_of_scales(
    build: Build, cell: str, digits: Dataset, tmp_path: Path
) -> None:
    model = onnx.load(_quantised(build(cell), digits, tmp_path)[1])
    constants, producers = _constants(model), _producers(model)
    layers = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    assert len(layers) >= 6
    for layer in layers:
        data, weight, *bias = (producers[name] for name in layer.input)
        values, scales, zero_points = (constants[name] for name in weight.input)
        assert values.dtype == zero_points.dtype == np.int8
        assert scales.shape == (len(values),)
        assert not zero_points.any()
        assert constants[data.input[2]].dtype == np.int8
        assert constants[data.input[1]].shape == ()
        for node in bias:
            values, bias_scales, zero_points = (constants[name] for name in node.input)
            assert values.dtype == np.int32
            assert not zero_points.any()
            assert np.allclose(bias_scales, constants[data.input[1]] * scales, rtol=1e-6)


def test_the_int8_input_is_the_pixel_minus_128(
    build: Build, digits: Dataset, tmp_path: Path
) -> None:
    model = onnx.load(_quantised(build("residual"), digits, tmp_path)[1])
    [quantise] = [node for node in model.graph.node if "input" in node.input]
    scale, zero_point = (_constants(model)[name] for name in quantise.input[1:])
    assert scale == np.float32(1 / 255)
    assert zero_point == -128
    pixels = np.arange(256)
    stored = np.round(pixels.astype(np.float32) * np.float32(1 / 255) / scale) + zero_point
    assert np.array_equal(stored, pixels - 128)


def test_the_logits_are_quantised_too(build: Build, digits: Dataset, tmp_path: Path) -> None:
    model = onnx.load(_quantised(build("residual"), digits, tmp_path)[1])
    producers = _producers(model)
    last = producers["logits"]
    assert last.op_type == "DequantizeLinear"
    assert producers[last.input[0]].op_type == "QuantizeLinear"
    assert model.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT


def test_a_removed_relu_leaves_its_zero_point_at_the_lowest_value(
    build: Build, cell: str, digits: Dataset, tmp_path: Path
) -> None:
    plain, quantised = _quantised(build(cell), digits, tmp_path)
    before, after = onnx.load(plain), onnx.load(quantised)
    rectified = {node.output[0] for node in before.graph.node if node.op_type == "Relu"}
    kept = {node.output[0] for node in after.graph.node if node.op_type == "Relu"}
    constants = _constants(after)
    assert rectified - kept
    for name in rectified - kept:
        assert constants[f"{name}_zero_point"] == -128


class _Various(nn.Module):
    """Operators of other families: depthwise convolution, ReLU6 twice read, max pooling, Concat."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        self.bounded = nn.ReLU6()
        self.depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.pool = nn.MaxPool2d(2)
        self.last = nn.Linear(8 * 4, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        bounded = self.bounded(self.first(images) * 10)
        both = torch.cat([bounded, self.bounded(self.depthwise(bounded))], dim=1)
        logits: torch.Tensor = self.last(self.pool(both).flatten(1))
        return logits


def test_operators_of_other_networks_leave_no_float_island_either(
    digits: Dataset, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    plain, quantised = _quantised(_Various().eval(), digits, tmp_path)
    assert float_islands(onnx.load(quantised)) == []
    inputs = digits.train.inputs[:256]
    expected, found = (onnx_logits(path, inputs) for path in (plain, quantised))
    assert np.abs(expected - found).max() < 0.05 * np.abs(expected).max()


class _PoolRelu(nn.Module):
    """The ReLU of a pooled tensor: onnxruntime merges it into the pooling's output."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.pool = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        self.relu = nn.ReLU()
        self.last = nn.Linear(4 * 64, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        rectified = self.relu(self.pool(self.first(images)))
        logits: torch.Tensor = self.last(rectified.flatten(1))
        return logits


@pytest.mark.parametrize("bias", [0.0, -50.0])
def test_negative_values_do_not_pass_a_relu_behind_a_pooling(
    digits: Dataset, tmp_path: Path, bias: float
) -> None:
    torch.manual_seed(0)
    network = _PoolRelu().eval()
    nn.init.constant_(network.first.bias, bias)  # type: ignore[arg-type]
    plain, quantised = _quantised(network, digits, tmp_path)
    expected, found = (onnx_logits(path, digits.test.inputs) for path in (plain, quantised))
    assert np.abs(expected - found).max() < 0.05 * np.abs(expected).max()


class _Cancelling(nn.Module):
    """A sum that is far smaller than its operands, and another of it and what is smaller still."""

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.shift = shift
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.opposite = nn.Conv2d(4, 4, 1, bias=False)
        self.pool = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        self.last = nn.Linear(4 * 64, 10)
        nn.init.constant_(self.first.bias, 9.0)  # type: ignore[arg-type]
        self.opposite.weight.data = -0.9999 * torch.eye(4)[:, :, None, None]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.first(images)
        total = torch.relu(features + (self.opposite(features) + self.shift))
        logits: torch.Tensor = self.last((total + self.pool(total)).flatten(1))
        return logits


@pytest.mark.parametrize("shift", [0.0, -0.001, 0.01])
def test_no_step_of_a_sum_is_far_finer_than_its_operands(
    shift: float, digits: Dataset, tmp_path: Path
) -> None:
    quantised = _quantised(_Cancelling(shift).eval(), digits, tmp_path)[1]
    graph = import_onnx(quantised)
    sums = 0
    for operator in graph.operators:
        if isinstance(operator.attributes, Add):
            scales = [graph.tensors[name].quantisation for name in operator.inputs]
            result = graph.tensors[operator.output].quantisation
            assert result is not None and all(scales)
            assert max(scale.scale for scale in scales if scale) < 32 * result.scale
            sums += 1
    assert sums >= 2


def test_a_trained_network_loses_less_than_half_a_point(
    build: Build, digits: Dataset, tmp_path: Path
) -> None:
    network = build("residual")
    train(network, digits, Recipe(epochs=8, batch_size=32, ema_decay=0.97), seed=0)
    plain, quantised = _quantised(network, digits, tmp_path)
    before, after = (onnx_accuracy(path, digits.test) for path in (plain, quantised))
    assert before > 0.85
    assert after > before - 0.005 - 1 / len(digits.test.labels)  # one image is 0.28 points


def test_quantising_is_silent_repeatable_and_leaves_no_files(
    build: Build,
    digits: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    temporary, folder = tmp_path / "temporary", tmp_path / "results"
    temporary.mkdir()
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    path = _quantised(build("many branches"), digits, folder)[1]
    first = path.read_bytes()
    _quantised(build("many branches"), digits, folder)
    assert path.read_bytes() == first
    assert list(temporary.iterdir()) == []
    assert {file.name for file in folder.iterdir()} == {"float.onnx", "quantised.onnx"}
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.zeros((4, 9, 9, 1), np.float32), r"network takes \[n, 8, 8, 1\]"),
        (np.zeros((0, 8, 8, 1), np.float32), "Give images of that size"),
        (np.full((4, 8, 8, 1), 255, np.float32), r"Scale them to 0\.\.1"),
        (np.full((4, 8, 8, 1), np.nan, np.float32), r"Scale them to 0\.\.1"),
    ],
)
def test_calibration_images_must_fit_the_network(
    build: Build, tmp_path: Path, inputs: np.ndarray, message: str
) -> None:
    export_onnx(build("pools only"), (8, 8, 1), tmp_path / "float.onnx")
    with pytest.raises(WrongInputError, match=message):
        quantise_onnx(tmp_path / "float.onnx", inputs, tmp_path / "quantised.onnx")
    assert not (tmp_path / "quantised.onnx").exists()


def test_an_operator_without_int8_form_is_named(digits: Dataset, tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.GELU(), nn.Flatten(), nn.Linear(72, 2)).eval()
    with pytest.raises(UnsupportedModelError, match=r"cannot be quantised to int8\."):
        _quantised(network, digits, tmp_path)
    assert not (tmp_path / "quantised.onnx").exists()


def test_a_file_that_is_not_onnx_is_named(digits: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "wrong.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(UnsupportedModelError, match=r"wrong\.onnx is not a readable"):
        quantise_onnx(path, digits.train.inputs[:8], tmp_path / "quantised.onnx")
    with pytest.raises(UnsupportedModelError, match=r"wrong\.onnx cannot be opened"):
        onnx_accuracy(path, digits.test)


def test_images_of_another_size_are_refused(build: Build, digits: Dataset, tmp_path: Path) -> None:
    export_onnx(build("pools only", resolution=7), (7, 7, 1), tmp_path / "float.onnx")
    with pytest.raises(WrongInputError, match="Give inputs of that size"):
        onnx_accuracy(tmp_path / "float.onnx", digits.test)


SKELETON = Skeleton(stem_channels=6, cells_per_stage=1, resolution=12, input_channels=1)
CELL = "|nor_conv_1x1~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"


def _network(ternary: bool) -> torch.nn.Module:
    """Untrained, but with normalisations that do something, negative gains among them."""
    torch.manual_seed(0)
    skeleton = SKELETON.model_copy(update={"ternary": ternary})
    network = build_network(Architecture(cell=CELL, skeleton=skeleton))
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.weight, -1.0, 1.5)
            torch.nn.init.uniform_(layer.bias, -0.5, 0.5)
            layer.running_var.uniform_(0.5, 2.0)
    return network.eval()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).random((24, 12, 12, 1), dtype=np.float32)


@pytest.fixture(scope="module")
def quantised(images: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ternary")
    export_onnx(with_ternary_values(_network(True)), (12, 12, 1), folder / "float.onnx")
    quantise_onnx(folder / "float.onnx", images, folder / "int8.onnx")
    write_ternary_weights(folder / "int8.onnx")
    return folder / "int8.onnx"


def test_plain_layers_with_the_rounded_weights_compute_the_same() -> None:
    network, inputs = _network(True), torch.rand(3, 1, 12, 12)
    with torch.no_grad():
        assert torch.equal(network(inputs), with_ternary_values(network)(inputs))


def test_float_and_ternary_networks_have_the_same_parameters() -> None:
    shapes = [
        {name: value.shape for name, value in _network(kind).state_dict().items()}
        for kind in (False, True)
    ]
    assert shapes[0] == shapes[1]


def test_the_file_means_what_it_meant_with_127_for_1(
    quantised: Path, images: np.ndarray, tmp_path: Path
) -> None:
    before = tmp_path / "before.onnx"
    export_onnx(with_ternary_values(_network(True)), (12, 12, 1), tmp_path / "float.onnx")
    quantise_onnx(tmp_path / "float.onnx", images, before)
    np.testing.assert_allclose(
        onnx_logits(before, images), onnx_logits(quantised, images), atol=1e-4
    )


def test_a_network_that_is_not_ternary_is_left_alone(images: np.ndarray, tmp_path: Path) -> None:
    export_onnx(_network(False), (12, 12, 1), tmp_path / "float.onnx")
    quantise_onnx(tmp_path / "float.onnx", images, tmp_path / "int8.onnx")
    before = onnx_logits(tmp_path / "int8.onnx", images)
    write_ternary_weights(tmp_path / "int8.onnx")
    np.testing.assert_array_equal(onnx_logits(tmp_path / "int8.onnx", images), before)


@pytest.mark.parametrize("board", ["nucleo-l4r5zi", "nucleo-h743zi2"])
def test_the_file_costs_what_was_promised(quantised: Path, board: str) -> None:
    device = find_device(board)
    skeleton = SKELETON.model_copy(update={"ternary": True})
    promised = estimate(Architecture(cell=str(Cell.parse(CELL)), skeleton=skeleton), device)
    found = estimate_program(compile_graph(import_onnx(quantised), device), device)
    kinds = [layer.op for layer in found.layers]
    assert sum(kind.startswith("ternary") for kind in kinds) >= 9
    assert found.weight_bytes == promised.weight_bytes
    assert found.arena_bytes == promised.arena_bytes
    assert found.cycles == promised.cycles
    assert found.flash_bytes == promised.flash_bytes

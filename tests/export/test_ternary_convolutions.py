"""A ternary cell network keeps its function on the way to the compiler, and its cost."""

from pathlib import Path

import numpy as np
import pytest
import torch

from automcu.compiler import compile_graph, import_onnx
from automcu.cost.estimation import estimate_program
from automcu.export.evaluation import onnx_logits
from automcu.export.float_onnx import export_onnx
from automcu.export.quantise import quantise_onnx
from automcu.export.ternary_convolutions import write_ternary_weights
from automcu.mcu import find_device
from automcu.networks.cells.architecture import Architecture, Skeleton
from automcu.networks.cells.cell import Cell
from automcu.networks.cells.torch import build_network
from automcu.networks.estimate import estimate
from automcu.training.ternary import with_ternary_values

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


def test_the_file_says_what_it_said_with_127_for_1(
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

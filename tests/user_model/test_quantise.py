"""Float models of users: quantised with their data, compiled, and held against themselves."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional
from typer.testing import CliRunner

from automcu.cli.app import app
from automcu.compiler import Quantisation
from automcu.errors import AutomcuError, UnsupportedModelError, WrongInputError
from automcu.records import resource_folder
from automcu.user_model.model import import_model_file
from automcu.user_model.quantise import calibrate_model_file

Export = Callable[..., Path]


class _Own(nn.Module):
    """What others export: batch normalisation apart, a hard-swish, a flattened end."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.head = nn.Linear(16 * 16, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        wide = functional.hardswish(self.norm(self.first(images)))
        return self.head(functional.relu6(self.second(wide)).flatten(1))


@pytest.fixture
def export(tmp_path: Path) -> Export:
    def write(network: nn.Module | None = None, opset: int = 17, **options: object) -> Path:
        torch.manual_seed(0)
        path = tmp_path / "float.onnx"
        image = torch.zeros(1, 1, 8, 8)
        network = (network or _Own()).eval()
        torch.onnx.export(
            network, image, path, opset_version=opset, input_names=["x"], dynamo=False, **options
        )
        return path

    return write


@pytest.mark.parametrize("opset", [11, 17])
def test_a_float_model_keeps_its_classes(export: Export, tmp_path: Path, opset: int) -> None:
    found = calibrate_model_file(export(opset=opset), "digits", tmp_path / "int8.onnx")
    assert found.inputs == 359
    assert found.same_class is not None
    assert found.same_class > 0.97
    assert found.typical_error < 0.01
    assert import_model_file(tmp_path / "int8.onnx").tensors


def test_inputs_of_its_own_are_fed_as_they_are(export: Export, tmp_path: Path) -> None:
    """Standardised inputs, channels first: neither pixels nor in [0, 1]."""
    data = tmp_path / "own.npz"
    inputs = np.random.default_rng(0).normal(size=(200, 1, 8, 8)) * 3
    np.savez(data, x=inputs.astype(np.float32))
    found = calibrate_model_file(export(), str(data), tmp_path / "int8.onnx")
    graph = import_model_file(tmp_path / "int8.onnx")
    scale = graph.tensors[graph.input].quantisation.scale
    assert scale == pytest.approx((inputs.max() - inputs.min()) / 255, rel=0.02)
    assert found.inputs == 200
    assert found.typical_error < 0.01


def test_any_batch_size_may_be_exported(export: Export, tmp_path: Path) -> None:
    path = export(dynamic_axes={"x": {0: "n"}})
    assert calibrate_model_file(path, "digits", tmp_path / "int8.onnx").same_class is not None


class _Wide(nn.Module):
    """An image in, an image out: eight channels for each pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU6())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


class _Gestures(nn.Module):
    """Four classes from an image whose rows are signals: a 1-D network."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(8, 6, 3, padding=1), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(6, 4, 3)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images.squeeze(1)).mean(2)


class _Same(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(images).flatten(1).reshape(-1, 1, 8, 8)


def _noise(path: Path, count: int = 64) -> str:
    inputs = np.random.default_rng(0).normal(size=(count, 1, 8, 8))
    np.savez(path, x=inputs.astype(np.float32))
    return str(path)


def test_images_are_compared_pixel_by_pixel(export: Export, tmp_path: Path) -> None:
    data = _noise(tmp_path / "x.npz")
    found = calibrate_model_file(export(_Wide()), data, tmp_path / "int8.onnx")
    assert found.same_class is None
    assert found.same_class_positions is not None
    assert found.same_class_positions > 0.97
    assert not found.are_classes
    assert found.output_shape == (8, 6, 6)
    assert found.sqnr_db is not None
    assert found.sqnr_db > 30


def test_sequences_are_fed_in_the_order_that_the_network_has(
    export: Export, tmp_path: Path
) -> None:
    data = _noise(tmp_path / "x.npz")
    found = calibrate_model_file(export(_Gestures()), data, tmp_path / "int8.onnx")
    assert found.same_class is not None
    assert found.same_class > 0.9
    assert found.sqnr_db is not None
    assert found.sqnr_db > 25


def test_an_output_like_the_input_has_no_classes(export: Export, tmp_path: Path) -> None:
    data = _noise(tmp_path / "x.npz")
    found = calibrate_model_file(export(_Same()), data, tmp_path / "int8.onnx")
    assert found.same_class is found.same_class_positions is None
    assert found.typical_error < 0.01


@pytest.mark.parametrize(("count", "unseen"), [(64, False), (1100, True)])
def test_inputs_that_calibrated_are_not_called_new(
    export: Export, tmp_path: Path, count: int, unseen: bool
) -> None:
    data = _noise(tmp_path / "x.npz", count)
    found = calibrate_model_file(export(_Same()), data, tmp_path / "int8.onnx")
    assert found.unseen is unseen
    assert found.inputs == min(count, 512)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (_Gestures(), "the same largest output in"),
        (nn.Sequential(_Gestures(), nn.Softmax(1)), "the same class in"),
        (_Wide(), "the same largest channel in"),
    ],
)
def test_only_what_is_known_to_be_a_class_is_called_one(
    export: Export, tmp_path: Path, network: nn.Module, words: str
) -> None:
    data = _noise(tmp_path / "x.npz")
    arguments = ["check", str(export(network)), "--device", "f407", "--calibrate", data]
    answer = CliRunner().invoke(app, arguments)
    said = " ".join(answer.output.split())
    assert words in said
    assert "64 inputs, which also calibrated it" in said
    assert words == "the same class in" or "the same class" not in said


def test_a_network_that_takes_bytes_is_fed_bytes(export: Export, tmp_path: Path) -> None:
    class Bytes(_Own):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(images / 255)

    found = calibrate_model_file(export(Bytes()), "digits", tmp_path / "int8.onnx")
    graph = import_model_file(tmp_path / "int8.onnx")
    assert graph.tensors[graph.input].quantisation == Quantisation(1.0, -128)
    assert found.same_class is not None
    assert found.same_class > 0.97


def test_a_folder_of_pictures_without_classes_calibrates(export: Export, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (9, 12, 12))):
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    found = calibrate_model_file(export(), str(folder), tmp_path / "int8.onnx")
    assert found.inputs == 9
    assert not found.are_classes


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((20, 9, 9), "takes 1x8x8"),
        ((0, 8, 8, 1), "holds no inputs"),
        ((20, 1, 8, 8), "holds 0 everywhere"),
        ((20,), r"shape \[20\]"),
    ],
)
def test_data_of_another_size_is_refused(
    export: Export, tmp_path: Path, shape: tuple[int, ...], message: str
) -> None:
    np.savez(tmp_path / "own.npz", x=np.zeros(shape, np.float32))
    with pytest.raises(WrongInputError, match=message):
        calibrate_model_file(export(), str(tmp_path / "own.npz"), tmp_path / "int8.onnx")


def test_a_file_that_is_called_an_array_and_is_none_is_reported(
    export: Export, tmp_path: Path
) -> None:
    (tmp_path / "x.npy").write_text("0.1 0.2 0.3")
    with pytest.raises(WrongInputError, match=r"x\.npy is not a NumPy array"):
        calibrate_model_file(export(), str(tmp_path / "x.npy"), tmp_path / "int8.onnx")


def test_a_tflite_file_is_refused_with_how_to_quantise_it(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(b"\x20\0\0\0TFL3" + bytes(64))
    with pytest.raises(UnsupportedModelError, match="full integer quantisation"):
        calibrate_model_file(tmp_path / "model.tflite", "digits", tmp_path / "int8.onnx")


def test_a_model_that_is_quantised_already_is_reported(export: Export, tmp_path: Path) -> None:
    calibrate_model_file(export(), "digits", tmp_path / "int8.onnx")
    with pytest.raises(UnsupportedModelError, match="Leave out --calibrate"):
        calibrate_model_file(tmp_path / "int8.onnx", "digits", tmp_path / "again.onnx")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_a_damaged_model_is_reported_in_a_sentence(
    export: Export, tmp_path: Path, share: float
) -> None:
    whole = export().read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(AutomcuError):
        calibrate_model_file(tmp_path / "cut.onnx", "digits", tmp_path / "int8.onnx")


def test_compile_keeps_the_quantised_model_beside_the_project(
    export: Export, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = ["compile", str(export()), "--device", "f407", "--calibrate", "digits"]
    answer = CliRunner().invoke(app, [*arguments, "--out", str(out)])
    assert answer.exit_code == 0, answer.output
    assert "the same class in" in answer.output
    assert (out / "model.int8.onnx").is_file()
    assert (out / "model" / "model.c").is_file()


def test_check_answers_for_a_float_model(export: Export) -> None:
    arguments = ["check", str(export()), "--device", "f407", "--calibrate", "digits", "--json"]
    answer = CliRunner().invoke(app, arguments)
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)["calibrated"]["same_class"] > 0.97


def test_a_device_without_figures_gets_its_project_and_what_is_known(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = (resource_folder("hw_profiles") / "nucleo-f411re.toml").read_text()
    own = shipped.replace('"nucleo-f411re"', '"unmeasured"')
    (tmp_path / "unmeasured.toml").write_text(own.replace("aliases = [", "aliases = [] # ["))
    monkeypatch.setenv("AUTOMCU_PROFILES", str(tmp_path))
    out = tmp_path / "out"
    arguments = ["compile", str(export()), "--device", "unmeasured", "--calibrate", "digits"]
    answer = CliRunner().invoke(app, [*arguments, "--out", str(out), "--json"])
    assert answer.exit_code == 0, answer.output
    document = json.loads(answer.stdout)
    project = json.loads((out / "project.json").read_text())
    assert document["arena_bytes"] == project["arena_bytes"]
    assert document["weight_bytes"] == project["weight_bytes"]
    assert document["latency_ms"] is document["flash_bytes"] is None

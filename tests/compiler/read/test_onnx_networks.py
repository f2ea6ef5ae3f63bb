"""Networks from PyTorch, quantised by onnxruntime in all its ways, against onnxruntime."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn
from torch.nn import functional

from automcu.compiler import Program, compile_graph, import_onnx
from automcu.mcu import Device

IMAGES = 20
FORMATS: dict[str, dict[str, Any]] = {
    "int8": {},
    "uint8 activations": {"activation_type": QuantType.QUInt8},
    "uint8 throughout": {
        "activation_type": QuantType.QUInt8,
        "weight_type": QuantType.QUInt8,
        "per_channel": False,
    },
    "operator format": {"quant_format": QuantFormat.QOperator},
}


class MobileBlock(nn.Module):
    """Normalisation, ReLU6, depthwise, a sum, hard-swish, a pool, softmax."""

    shape = (3, 8, 8)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.pointwise, self.shortcut = nn.Conv2d(8, 16, 1), nn.Conv2d(8, 16, 1)
        self.head = nn.Linear(16 * 4 * 4, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        stem = self.stem(images)
        branch = self.pointwise(functional.relu6(self.depthwise(stem)))
        features = functional.hardswish(branch + self.shortcut(stem))
        return torch.softmax(self.head(functional.max_pool2d(features, 2).flatten(1)), 1)


class SqueezeAndExcite(nn.Module):
    """Swish, and channels weighed by what a small network says of their means."""

    shape = (3, 12, 12)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, stride=2)
        self.squeeze, self.excite = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1)
        self.head = nn.Linear(8, 5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = functional.silu(self.stem(images))
        means = functional.adaptive_avg_pool2d(features, 1)
        weights = torch.sigmoid(self.excite(torch.relu(self.squeeze(means))))
        return self.head((features * weights).mean((2, 3)))


class Segmenter(nn.Module):
    """Down, up by nearest neighbour, joined with what came before."""

    shape = (1, 8, 8)

    def __init__(self) -> None:
        super().__init__()
        self.first, self.down = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 6, 3, 2, padding=1)
        self.last = nn.Conv2d(10, 2, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        first = torch.relu(self.first(images))
        below = functional.leaky_relu(self.down(first))
        above = functional.interpolate(below, scale_factor=2, mode="nearest")
        return torch.sigmoid(self.last(torch.cat([first, above], 1)))


class Shuffler(nn.Module):
    """Grouped convolution, channel shuffle, split, join, pad."""

    shape = (3, 8, 8)

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.grouped = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1, groups=2)
        self.depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.head = nn.Linear(8, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.grouped(torch.relu(self.stem(images)))
        shuffled = features.view(1, 2, 4, 8, 8).transpose(1, 2).reshape(1, 8, 8, 8)
        kept, changed = shuffled.chunk(2, 1)
        joined = torch.cat([kept, torch.relu(self.depthwise(changed))], 1)
        padded = functional.pad(joined, (1, 0, 1, 0))
        return self.head(functional.max_pool2d(padded, 3).mean((2, 3)))


class Perceptron(nn.Module):
    """Vectors, GELU spelt out, a parametric ReLU."""

    shape = (20,)

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(20, 16), nn.Linear(16, 16), nn.Linear(16, 3)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        hidden = functional.gelu(self.first(vectors))
        return self.third(functional.prelu(self.second(hidden), torch.tensor([0.2])))


class Sequences(nn.Module):
    """1-D convolutions, dilated too."""

    shape = (3, 16)

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(3, 8, 5, padding=2), nn.Conv1d(8, 8, 3, 1, 2, 2)
        self.head = nn.Linear(8, 4)

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        hidden = torch.tanh(self.first(series))
        return self.head(torch.relu(self.second(hidden)).mean(-1))


NETWORKS = (MobileBlock, SqueezeAndExcite, Segmenter, Shuffler, Perceptron, Sequences)


class _Random(CalibrationDataReader):
    def __init__(self, shape: tuple[int, ...]) -> None:
        values = np.random.default_rng(1).normal(size=(16, 1, *shape)).astype(np.float32)
        self._batches = iter([{"input": value} for value in values])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._batches, None)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[type[nn.Module]], Path]:
    """The float file of a network, exported and folded once."""
    files: dict[type[nn.Module], Path] = {}

    def prepare(kind: type[nn.Module]) -> Path:
        if kind not in files:
            logging.disable(logging.WARNING)
            folder = tmp_path_factory.mktemp(kind.__name__)
            torch.manual_seed(0)
            torch.onnx.export(
                kind().eval(),
                (torch.zeros(1, *kind.shape),),
                folder / "float.onnx",
                input_names=["input"],
                opset_version=17,
                dynamo=False,
            )
            files[kind] = folder / "folded.onnx"
            quant_pre_process(folder / "float.onnx", files[kind], skip_symbolic_shape=True)
            logging.disable(logging.NOTSET)
        return files[kind]

    return prepare


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kind", NETWORKS)
def test_a_quantised_network_agrees_with_onnxruntime(
    kind: type[nn.Module],
    name: str,
    prepared: Callable[[type[nn.Module]], Path],
    tmp_path: Path,
    portable_device: Device,
) -> None:
    path = tmp_path / "quantised.onnx"
    usual = {
        "quant_format": QuantFormat.QDQ,
        "activation_type": QuantType.QInt8,
        "weight_type": QuantType.QInt8,
        "per_channel": True,
    }
    quantize_static(prepared(kind), path, _Random(kind.shape), **(usual | FORMATS[name]))
    program = compile_graph(import_onnx(path), portable_device)
    off = steps_apart(program, path, kind.shape)
    assert off.max() <= 1
    assert np.mean(off > 0) < 0.15


def steps_apart(program: Program, path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """How many steps our outputs are from onnxruntime's."""
    values = np.random.default_rng(2).normal(size=(IMAGES, *shape)).astype(np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    theirs = np.concatenate([session.run(None, {"input": one[None]})[0] for one in values])
    tensors, names = program.graph.tensors, (program.graph.input, program.graph.output)
    source, result = (tensors[name].quantisation for name in names)
    assert source is not None and result is not None
    steps = np.rint(channels_last(values) / np.float32(source.scale)) + source.zero_point
    ours = program.run(np.clip(steps, -128, 127).astype(np.int8))
    expected = np.rint(channels_last(theirs) / result.scale) + result.zero_point
    return np.abs(ours - expected.reshape(IMAGES, -1))


def channels_last(values: np.ndarray) -> np.ndarray:
    """Images and sequences as the compiler takes and gives them."""
    return np.moveaxis(values, 1, -1) if values.ndim > 2 else values

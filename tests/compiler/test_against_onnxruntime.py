"""Our integers against onnxruntime's arithmetic in float, layer by layer on equal inputs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from automcu.compiler import Graph, compile_graph, import_onnx, quantise_inputs, run_reference
from automcu.compiler.graph import run_operator
from automcu.compiler.passes import fuse_clamps
from automcu.compiler.project import TensorInfo
from automcu.mcu import Device
from tests.quantised_networks import (
    Images,
    QuantisedNetwork,
    images_for,
    onnxruntime_integers,
    quantised_file,
    random_images,
)

IMAGES = 4


def differences(graph: Graph, path: Path, images: Images) -> dict[str, np.ndarray]:
    """By how many steps each layer's results are off, given onnxruntime's own inputs to it."""
    theirs = onnxruntime_integers(path, images)
    found = {}
    for operator in fuse_clamps(graph).operators:
        inputs = tuple(
            theirs[name].reshape(len(images), *graph.tensors[name].shape)
            for name in operator.inputs
        )
        ours = run_operator(operator, operator.lower(graph), inputs)
        expected = theirs[operator.output].reshape(ours.shape)
        found[operator.name] = np.abs(ours.astype(np.int64) - expected)
    return found


def integers(graph: Graph, images: Images) -> np.ndarray:
    source = graph.tensors[graph.input]
    assert source.quantisation is not None
    scale, zero_point = source.quantisation.scale, source.quantisation.zero_point
    info = TensorInfo(shape=source.shape, scale=scale, zero_point=zero_point)
    return quantise_inputs(images, info)


def test_every_layer_of_the_space_is_within_one_step(
    quantised_networks: "list[QuantisedNetwork]",
) -> None:
    values = exact = 0
    for network in quantised_networks:
        images = images_for(network.architecture, IMAGES, seed=1)
        graph = import_onnx(network.path)
        for layer, off in differences(graph, network.path, images).items():
            assert off.max() <= 1, (network.architecture, layer)
            values += off.size
            exact += np.count_nonzero(off == 0)
    assert exact / values > 0.98


def test_whole_networks_agree_on_the_class(
    quantised_networks: "list[QuantisedNetwork]", portable_device: Device
) -> None:
    agreements = []
    for network in quantised_networks:
        images = images_for(network.architecture, 8, seed=2)
        graph = import_onnx(network.path)
        theirs = onnxruntime_integers(network.path, images)[graph.output]
        ours = compile_graph(graph, portable_device).run(integers(graph, images))
        chosen = theirs.reshape(ours.shape).argmax(axis=1)
        agreements.extend(ours.argmax(axis=1) == chosen)
    assert np.mean(agreements) > 0.98


def test_the_compiler_s_passes_change_no_byte_of_a_real_network(
    quantised_networks: "list[QuantisedNetwork]", portable_device: Device
) -> None:
    for network in quantised_networks:
        graph = import_onnx(network.path)
        inputs = integers(graph, images_for(network.architecture, IMAGES, seed=3))
        program = compile_graph(graph, portable_device)
        assert len(program.graph.operators) < len(graph.operators)
        assert np.array_equal(program.run(inputs), run_reference(graph, inputs))


class _Residual(nn.Module):
    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features + self.branch(features)


OTHER_NETWORKS = {
    "inverted residual": lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.ReLU6(),
        _Residual(
            nn.Sequential(
                nn.Conv2d(8, 24, 1),
                nn.ReLU6(),
                nn.Conv2d(24, 24, 3, padding=1, groups=24),
                nn.ReLU6(),
                nn.Conv2d(24, 8, 1),
            )
        ),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    ),
    "dilated, grouped and strided": lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=2, dilation=2),
        nn.ReLU(),
        nn.Conv2d(8, 12, (1, 5), stride=(1, 2), padding=(0, 2), groups=4),
        nn.Conv2d(12, 24, 3, groups=12),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(24, 5),
    ),
    "pools of every kind": lambda: nn.Sequential(
        nn.Conv2d(3, 6, 3),
        nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True),
        nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=True),
        nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False),
        nn.Flatten(),
        nn.Linear(6 * 2 * 2, 16),
        nn.ReLU(),
        nn.Linear(16, 5),
    ),
}


@pytest.mark.parametrize("name", OTHER_NETWORKS)
def test_layers_from_other_families_are_within_one_step(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = quantised_file(OTHER_NETWORKS[name](), random_images((16, 9, 9, 3)), tmp_path)
    off = differences(import_onnx(path), path, random_images((8, 9, 9, 3), seed=1))
    assert max(values.max() for values in off.values()) <= 1


@pytest.mark.parametrize("gain", [0.0, 1e-30, 1e-8, 1e-4, 1e-2])
def test_a_channel_whose_weights_vanish_is_within_one_step(gain: float, tmp_path: Path) -> None:
    """Its scale is tiny, and its bias, an integer in that scale, is almost all of 32 bits."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(200, 5)]
    for convolution in (layers[0], layers[2]):
        with torch.no_grad():
            convolution.weight[2] *= gain
            convolution.bias[2] = 0.7
    path = quantised_file(nn.Sequential(*layers), random_images((16, 9, 9, 3)), tmp_path)
    off = differences(import_onnx(path), path, random_images((8, 9, 9, 3), seed=1))
    assert max(values.max() for values in off.values()) <= 1

"""Networks of the space as real quantised files, and what onnxruntime computes from them."""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch import nn

from automcu.export.float_onnx import export_onnx
from automcu.export.quantise import quantise_onnx
from automcu.networks.cells.cell import all_cells
from automcu.networks.cells.skeleton import Architecture, Skeleton
from automcu.networks.cells.torch import build_network

Images = NDArray[np.float32]
_CALIBRATION_IMAGES = 16


@dataclass(frozen=True)
class QuantisedNetwork:
    """An architecture with random weights, all the way through torch, ONNX and quantisation."""

    architecture: Architecture
    path: Path


def random_networks(count: int, folder: Path) -> list[QuantisedNetwork]:
    """Random connected cells in random small skeletons; the same ones every time."""
    generator = random.Random(201)
    cells = [cell for cell in all_cells() if cell.is_connected]
    found = []
    for number in range(count):
        skeleton = Skeleton(
            stem_channels=generator.choice((2, 4, 6, 8)),
            cells_per_stage=generator.choice((1, 1, 1, 2)),
            resolution=generator.choice((4, 5, 6, 8, 9, 12)),
            input_channels=generator.choice((1, 3)),
            classes=generator.choice((2, 5, 10)),
        )
        cell = str(generator.choice(cells))
        architecture = Architecture(cell=cell, skeleton=skeleton)
        path = quantised_architecture(architecture, folder / str(number), seed=number)
        found.append(QuantisedNetwork(architecture, path))
    return found


def quantised_architecture(architecture: Architecture, folder: Path, seed: int = 0) -> Path:
    """The quantised file; normalisations hold the statistics of the calibration images."""
    torch.manual_seed(seed)
    network = build_network(architecture)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
    images = images_for(architecture, _CALIBRATION_IMAGES)
    network.train()
    with torch.no_grad():
        network(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
    return quantised_file(network, images, folder)


def quantised_file(network: nn.Module, images: Images, folder: Path) -> Path:
    """The quantised file of any network that takes such images."""
    folder.mkdir(parents=True, exist_ok=True)
    _, height, width, channels = images.shape
    export_onnx(network.eval(), (height, width, channels), folder / "float.onnx")
    quantise_onnx(folder / "float.onnx", images, folder / "quantised.onnx")
    return folder / "quantised.onnx"


def images_for(architecture: Architecture, count: int, seed: int = 0) -> Images:
    """Random images [n, height, width, channels] in [0, 1]."""
    skeleton = architecture.skeleton
    shape = (count, skeleton.resolution, skeleton.resolution, skeleton.input_channels)
    return random_images(shape, seed)


def random_images(shape: tuple[int, int, int, int], seed: int = 0) -> Images:
    """Random images [n, height, width, channels] in [0, 1]."""
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def onnxruntime_integers(path: Path, images: Images) -> dict[str, NDArray[np.int8]]:
    """All int8 tensors that onnxruntime computes, channels last.

    They go by the name of the tensor, of the layer that computes it and of that which quantises it.
    Nothing is optimised: every layer is computed in float from dequantised int8 and quantised
    again, which is what the file says.
    """
    model = onnx.load(path)
    quantisers = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    wanted = [node.output[0] for node in quantisers]
    del model.graph.output[:]
    model.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.INT8, None) for name in wanted
    )
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    results = session.run(wanted, {session.get_inputs()[0].name: images.transpose(0, 3, 1, 2)})
    layers = {name: node.name for node in model.graph.node for name in node.output}
    named = {}
    for node, values in zip(quantisers, results, strict=True):
        last = values.transpose(0, 2, 3, 1) if values.ndim == 4 else values[:, None, None]
        real = node.input[0]
        named |= dict.fromkeys((real, layers.get(real, real), node.name), last)
    return named

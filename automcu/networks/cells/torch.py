"""Torch networks of the NAS-Bench-201 space.

The modules follow the benchmark's definition (Dong and Yang, ICLR 2020, section 2.1; AutoDL-
Projects, `TinyNetwork`, `InferCell`, `ResNetBasicblock`): a 3×3 stem, three stages of cells, a
residual reduction block before the second and the third, then normalisation, ReLU, global average
pooling and a linear classifier. Two things differ, neither in the function computed: a node that
several convolutions read is rectified once, and resolutions need not be powers of two.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from automcu.errors import WrongInputError
from automcu.export.float_onnx import export_onnx
from automcu.export.quantise import calibration_inputs, quantise_onnx, write_ternary_weights
from automcu.networks.cells.cell import EDGES, INPUT_NODE, OUTPUT_NODE, Cell, Operation
from automcu.networks.cells.skeleton import (
    Architecture,
    count_live_macs,
    count_live_parameters,
    stages,
)
from automcu.networks.family import FLOAT_MODEL, INT8_MODEL
from automcu.training.loop import accuracy, fit
from automcu.training.records import Trained, Training, recipe_for, teachers_recipe
from automcu.training.ternary import TernaryConv2d, fit_ternary, with_ternary_values

_TERNARY_MODEL = "ternary.onnx"
_CONVOLUTION_KERNELS: dict[Operation, int] = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}


@dataclass(frozen=True, slots=True)
class _Edge:
    """An edge to build; `rectifier` names the ReLU that it reads through, if any.

    A rectifier is named after the node whose value it takes; a node that merely repeats another
    through a lone skip connection has none of its own.
    """

    name: str
    source: int
    operation: Operation
    rectifier: str | None


def build_network(architecture: Architecture) -> nn.Module:
    """Build the network with the cell's live edges only, randomly initialised by torch's generator.

    Takes float32 [n, input_channels, resolution, resolution], returns logits [n, classes]. With a
    ternary skeleton, all convolutions but the stem have weights of -1, 0 and 1 times a scale for
    each channel; the stem and the classifier, which are small and sensitive, stay real. It has the
    same parameters as the network that is not ternary.

    Raises:
        WrongInputError: the cell cannot be parsed, or no path leads from its input to its output.
    """
    cell = Cell.parse(architecture.cell)
    if not cell.is_connected:
        raise WrongInputError(
            f"The cell {cell} is not connected: its output does not depend on its input. "
            "Choose a cell with a path of operations other than 'none' from node 0 to node 3."
        )
    return Network(architecture, cell.without_dead_edges())


def build_benchmark_network(architecture: Architecture) -> nn.Module:
    """Build the network as the benchmark does: with every edge of the cell, dead ones included.

    For comparison with published counts and weights; takes and returns what `build_network` does.

    Raises:
        WrongInputError: the cell cannot be parsed.
    """
    return Network(architecture, Cell.parse(architecture.cell))


class Network(nn.Module):
    """Stem, three stages of cells, two reduction blocks between them, and the head."""

    def __init__(self, architecture: Architecture, cell: Cell) -> None:
        super().__init__()
        skeleton = architecture.skeleton
        convolution = TernaryConv2d if skeleton.ternary else nn.Conv2d
        widths = [stage.channels for stage in stages(skeleton)]
        self.stem = nn.Sequential(
            nn.Conv2d(skeleton.input_channels, widths[0], 3, padding=1, bias=False),
            nn.BatchNorm2d(widths[0]),
        )
        self.stages = nn.ModuleList(
            nn.Sequential(
                *(CellModule(cell, width, convolution) for _ in range(skeleton.cells_per_stage))
            )
            for width in widths
        )
        self.reductions = nn.ModuleList(
            ReductionBlock(before, after, convolution) for before, after in pairwise(widths)
        )
        self.last_activation = nn.Sequential(nn.BatchNorm2d(widths[-1]), nn.ReLU())
        self.pooling = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(widths[-1], skeleton.classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map float32 images [n, channels, height, width] to logits [n, classes]."""
        features = self.stages[0](self.stem(images))
        for reduction, stage in zip(self.reductions, self.stages[1:], strict=True):
            features = stage(reduction(features))
        pooled = self.pooling(self.last_activation(features))
        return cast(Tensor, self.classifier(torch.flatten(pooled, 1)))


class CellModule(nn.Module):
    """One cell: every node is the sum of its incoming edges; `none` edges do not exist.

    Each convolution edge is ReLU, convolution, batch normalisation. The ReLU belongs to the value
    that is read, so that all edges that read the same value share it.
    """

    def __init__(self, cell: Cell, channels: int, convolution: type[nn.Conv2d]) -> None:
        super().__init__()
        self._incoming = _incoming_edges(cell)
        self.edges = nn.ModuleDict()
        self.rectifiers = nn.ModuleDict()
        for edges in self._incoming.values():
            for edge in edges:
                self.edges[edge.name] = _edge_module(edge.operation, channels, convolution)
                if edge.rectifier is not None:
                    self.rectifiers[edge.rectifier] = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """Map features [n, channels, height, width] to features of the same shape."""
        nodes = {INPUT_NODE: features}
        rectified: dict[str, Tensor] = {}
        for node, edges in self._incoming.items():
            terms = []
            for edge in edges:
                value = nodes[edge.source]
                if edge.rectifier is not None:
                    if edge.rectifier not in rectified:
                        rectified[edge.rectifier] = self.rectifiers[edge.rectifier](value)
                    value = rectified[edge.rectifier]
                terms.append(self.edges[edge.name](value))
            nodes[node] = _sum(terms) if terms else torch.zeros_like(features)
        return nodes[OUTPUT_NODE]


class ReductionBlock(nn.Module):
    """A residual block that halves the resolution, rounding up, and widens the features.

    The shortcut pools partial windows at odd borders over the pixels that exist, so that its size
    agrees with the strided convolution's.
    """

    def __init__(self, inputs: int, outputs: int, convolution: type[nn.Conv2d]) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.ReLU(),
            convolution(inputs, outputs, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            convolution(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, stride=2, ceil_mode=True, count_include_pad=False),
            convolution(inputs, outputs, 1, bias=False),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map [n, inputs, height, width] to [n, outputs, ⌈height/2⌉, ⌈width/2⌉]."""
        return cast(Tensor, self.shortcut(features) + self.convolutions(features))


def _incoming_edges(cell: Cell) -> dict[int, tuple[_Edge, ...]]:
    """Return each node's incoming edges in the benchmark's order, `none` left out."""
    incoming: dict[int, tuple[_Edge, ...]] = {}
    origins = {INPUT_NODE: INPUT_NODE}
    for node in range(1, OUTPUT_NODE + 1):
        edges = tuple(
            _Edge(
                name=f"{source}_to_{target}",
                source=source,
                operation=operation,
                rectifier=str(origins[source]) if operation in _CONVOLUTION_KERNELS else None,
            )
            for (source, target), operation in zip(EDGES, cell.edges, strict=True)
            if target == node and operation != "none"
        )
        repeats = len(edges) == 1 and edges[0].operation == "skip_connect"
        origins[node] = origins[edges[0].source] if repeats else node
        incoming[node] = edges
    return incoming


def _edge_module(operation: Operation, channels: int, convolution: type[nn.Conv2d]) -> nn.Module:
    """Return what an edge does after its source's ReLU, if it has one."""
    if operation == "skip_connect":
        return nn.Identity()
    if operation == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    kernel = _CONVOLUTION_KERNELS[operation]
    return nn.Sequential(
        convolution(channels, channels, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(channels),
    )


def _sum(terms: list[Tensor]) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def train_cell(architecture: Architecture, training: Training) -> Trained:
    """Train a network and quantise it; a ternary one learns from a float one of the same cell."""
    recipe = recipe_for(training.data, training.seconds)
    is_ternary = architecture.skeleton.ternary
    first = teachers_recipe(recipe) if is_ternary else recipe
    torch.manual_seed(training.seed)
    network = build_network(_without_ternary(architecture))
    curve = fit(network, training, first, "float, " if is_ternary else "")
    shape, home = training.data.input_shape, training.folder
    export_onnx(network, shape, home / FLOAT_MODEL)
    ternary, unquantised = None, home / FLOAT_MODEL
    if is_ternary:
        deployed, unquantised = build_network(architecture), home / _TERNARY_MODEL
        ternary = fit_ternary(deployed, network, training, recipe)
        export_onnx(with_ternary_values(deployed), shape, unquantised)
    quantise_onnx(unquantised, calibration_inputs(training.data), home / INT8_MODEL)
    if is_ternary:
        write_ternary_weights(home / INT8_MODEL)
    return Trained(
        recipe=first,
        training=curve,
        ternary=ternary,
        float_accuracy=accuracy(network, training.data.validation),
        macs=count_live_macs(architecture),
        parameters=count_live_parameters(architecture),
    )


def _without_ternary(architecture: Architecture) -> Architecture:
    skeleton = architecture.skeleton.model_copy(update={"ternary": False})
    return architecture.model_copy(update={"skeleton": skeleton})

"""The graph that an architecture will become once it is trained, quantised and imported.

It has shapes but no weights, which is all that the compiler's passes, kernel choice and memory
plan look at. Tests hold it against graphs imported from real exports.
"""

from dataclasses import replace

from automcu.compiler.graph import Attributes, Graph, Operator, Quantisation, Tensor
from automcu.compiler.ops import Add, AveragePool, Convolution, Rescale
from automcu.compiler.read.arrange import TERNARY_FROM
from automcu.compiler.tensor import Window
from automcu.errors import WrongInputError
from automcu.networks.cells.cell import EDGES, Cell
from automcu.networks.cells.skeleton import Architecture, stages

_ANY_SCALE = Quantisation(1.0, 0)  # costs do not depend on scales
_RECTIFIED = Quantisation(1.0, -128)  # where nothing is negative, int8 starts at zero
_RELU = (0.0, float("inf"))
LAST_NORMALISATION = "last_activation"
_CONVOLUTIONS = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}


class _Builder:
    """Appends operators; a tensor is named after the operator that computes it."""

    def __init__(self, resolution: int, channels: int, ternary: bool) -> None:
        image = Tensor("input", (resolution, resolution, channels), _ANY_SCALE)
        self.ternary = ternary
        self.tensors = {image.name: image}
        self.operators: list[Operator] = []
        self.results: dict[tuple[tuple[str, ...], Attributes], str] = {}

    def add(self, name: str, inputs: tuple[str, ...], attributes: Attributes) -> str:
        """Append an operator, unless the same is computed already: the exporter, too, shares it."""
        key = (inputs, attributes)
        if key in self.results:
            return self.results[key]
        shape = attributes.output_shape(self.tensors[inputs[0]].shape)
        self.tensors[name] = Tensor(name, shape, _ANY_SCALE)
        self.operators.append(Operator(name, inputs, name, attributes))
        self.results[key] = name
        return name

    def convolution(self, name: str, source: str, channels: int, size: int, stride: int = 1) -> str:
        before = size // 2
        # At odd sizes the last window of a strided layer ends on the border exactly.
        window = Window(size, size, (stride, stride), (before,) * 4)
        weights = size * size * self.tensors[source].shape[2] * channels
        ternary = self.ternary and source != "input" and weights >= TERNARY_FROM
        return self.add(name, (source,), Convolution(window, channels, ternary=ternary))

    def relu(self, name: str, source: str) -> str:
        rectified = self.add(name, (source,), Rescale(_RELU))
        self.tensors[rectified] = replace(self.tensors[rectified], quantisation=_RECTIFIED)
        return rectified

    def sum(self, name: str, terms: list[str]) -> str:
        total = terms[0]
        for index, term in enumerate(terms[1:]):
            total = self.add(f"{name}_add{index}", (total, term), Add())
        return total


def architecture_graph(architecture: Architecture) -> Graph:
    """Build the graph of `architecture`, live edges only.

    Raises:
        WrongInputError: the cell cannot be parsed, or nothing connects its input to its output.
    """
    cell = Cell.parse(architecture.cell)
    if not cell.is_connected:
        raise WrongInputError(
            f"The cell {cell} is not connected: its output does not depend on its input. "
            "Choose a cell with a path of operations other than 'none' from node 0 to node 3."
        )
    cell = cell.without_dead_edges()
    skeleton = architecture.skeleton
    builder = _Builder(skeleton.resolution, skeleton.input_channels, skeleton.ternary)
    widths = [stage.channels for stage in stages(skeleton)]
    features = builder.convolution("stem", "input", widths[0], 3)
    for stage, width in enumerate(widths):
        if stage:
            features = _reduction(builder, f"reduction{stage - 1}", features, width)
        for index in range(skeleton.cells_per_stage):
            features = _cell(builder, f"stage{stage}_cell{index}", features, cell)
    head = builder.relu("last_relu", _normalised(builder, features))
    height, width, _ = builder.tensors[head].shape
    head = builder.add("pooling", (head,), AveragePool(Window(height, width)))
    head = builder.add("classifier", (head,), Convolution(Window(1, 1), skeleton.classes))
    return _fusable(Graph(builder.tensors, tuple(builder.operators), "input", head))


def _fusable(graph: Graph) -> Graph:
    """Leave unquantised what only a ReLU reads: the export quantises behind the ReLU alone."""
    between = {
        operator.inputs[0]
        for operator in graph.operators
        if isinstance(operator.attributes, Rescale)
        and len(graph.consumers(operator.inputs[0])) == 1
    }
    tensors = {
        name: replace(tensor, quantisation=None) if name in between else tensor
        for name, tensor in graph.tensors.items()
    }
    return replace(graph, tensors=tensors)


def _normalised(builder: _Builder, features: str) -> str:
    """The last normalisation: folded into a convolution where one computes its input alone."""
    last = builder.operators[-1]
    if last.output == features and isinstance(last.attributes, Convolution):
        return features
    channels = builder.tensors[features].shape[2]
    attributes = Convolution(Window(1, 1), channels, groups=channels)
    return builder.add(LAST_NORMALISATION, (features,), attributes)


def _cell(builder: _Builder, name: str, source: str, cell: Cell) -> str:
    nodes = {0: source}
    rectified: dict[str, str] = {}
    for node in range(1, 4):
        terms = []
        for (start, end), operation in zip(EDGES, cell.edges, strict=True):
            if end != node or operation == "none":
                continue
            value = nodes[start]
            edge = f"{name}_edge{start}{end}"
            if operation == "skip_connect":
                terms.append(value)
            elif operation == "avg_pool_3x3":
                pool = AveragePool(Window(3, 3, padding=(1, 1, 1, 1)))
                terms.append(builder.add(edge, (value,), pool))
            else:
                if value not in rectified:
                    rectified[value] = builder.relu(f"{name}_relu{start}", value)
                channels = builder.tensors[value].shape[2]
                size = _CONVOLUTIONS[operation]
                terms.append(builder.convolution(edge, rectified[value], channels, size))
        if terms:
            nodes[node] = builder.sum(f"{name}_node{node}", terms)
    return nodes[3]


def _reduction(builder: _Builder, name: str, source: str, width: int) -> str:
    height = builder.tensors[source].shape[0]
    odd = height % 2
    pool = AveragePool(Window(2, 2, (2, 2), (0, 0, odd, odd)))
    shortcut = builder.add(f"{name}_pool", (source,), pool)
    shortcut = builder.convolution(f"{name}_shortcut", shortcut, width, 1)
    branch = builder.relu(f"{name}_relu0", source)
    branch = builder.convolution(f"{name}_conv0", branch, width, 3, stride=2)
    branch = builder.relu(f"{name}_relu1", branch)
    branch = builder.convolution(f"{name}_conv1", branch, width, 3)
    return builder.sum(f"{name}_sum", [shortcut, branch])

"""Networks made to be timed: which ones the cost models are fitted to and judged by.

Chains of layers of every kind and of many shapes, and networks of the space. Their weights are
random, since no kernel's time depends on them; what is fitted to them holds for the networks that
users design.
"""

import random
from dataclasses import replace
from math import inf

import numpy as np

from automcu.compiler.fixed_point import INT8_MIN
from automcu.compiler.graph import Attributes, Graph, Operator, Quantisation, Tensor
from automcu.compiler.low_bit_weights import WIDTHS
from automcu.compiler.ops import (
    Add,
    AddConstant,
    Attention,
    AveragePool,
    Concatenate,
    Convolution,
    LayerNorm,
    Lookup,
    MaxPool,
    Multiply,
    Pad,
    Rearrange,
    Rescale,
    Softmax,
)
from automcu.compiler.tensor import NO_CLAMP, Shape, Window
from automcu.networks.cells.cell import all_cells
from automcu.networks.cells.graph import architecture_graph
from automcu.networks.cells.skeleton import Architecture, Skeleton
from automcu.networks.transformers.family import TransformerShape
from automcu.networks.transformers.survey import transformer_graph

ANY_SCALE = Quantisation(1.0, 0)


class LayerChain:
    """`last` is the newest tensor, named after the layer that computes it.

    Shapes are (height, width, channels); all tensors have one scale, as no kernel's time and no
    plan depends on it.
    """

    def __init__(self, shape: Shape) -> None:
        self.tensors = {"input": Tensor("input", shape, ANY_SCALE)}
        self.operators: list[Operator] = []
        self.last = "input"

    @property
    def shape(self) -> Shape:
        """The newest tensor's."""
        return self.tensors[self.last].shape

    def append(self, attributes: Attributes, *others: str) -> None:
        """Add a layer on the newest tensor, and on `others` where it takes more inputs."""
        name = f"layer_{len(self.operators)}"
        inputs = (self.last, *others)
        shape = attributes.output_shape(*(self.tensors[source].shape for source in inputs))
        self.tensors[name] = Tensor(name, shape, ANY_SCALE)
        self.operators.append(Operator(name, inputs, name, attributes))
        self.last = name

    def graph(self) -> Graph:
        """The network whose output is the newest tensor."""
        return Graph(self.tensors, tuple(self.operators), "input", self.last)


_ACTIVATION_SCALE = 1 / 16


def with_random_weights(graph: Graph, seed: int) -> Graph:
    """Fill in int8 weights, biases and plausible scales; shapes stay as they are."""
    generator = np.random.default_rng(seed)
    tensors = {
        name: replace(tensor, quantisation=_random_quantisation(tensor, generator))
        for name, tensor in graph.tensors.items()
    }
    operators = tuple(_fill(operator, graph, generator) for operator in graph.operators)
    return replace(graph, tensors=tensors, operators=operators)


def _random_quantisation(tensor: Tensor, generator: np.random.Generator) -> Quantisation | None:
    """Zero points at the end of the range stay: they are those of rectified tensors.

    What is not quantised stays so too: it is fused into what is.
    """
    given = tensor.quantisation
    if given is None:
        return None
    if given.zero_point == INT8_MIN:
        return Quantisation(_ACTIVATION_SCALE, INT8_MIN)
    return Quantisation(_ACTIVATION_SCALE, int(generator.integers(-100, 100)))


def _fill(operator: Operator, graph: Graph, generator: np.random.Generator) -> Operator:
    source, result = graph.tensors[operator.inputs[0]], graph.tensors[operator.output]
    filled = operator.attributes.with_random_weights(
        source.shape, result.shape, _ACTIVATION_SCALE, generator
    )
    return replace(operator, attributes=filled)


_CHANNELS = (2, 4, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64)
_DEPTHWISE_CHANNELS = (4, 8, 12, 16, 24)
_SIZES = (3, 4, 5, 6, 7, 8, 10, 12, 16)
_HEADS = (1, 2, 3, 4)
_HEAD_CHANNELS = (4, 6, 8, 12, 16, 20)
_BLOCKS = 4  # of a transformer
_LAYERS = 24
_MOST_MACS = 300_000  # of one layer, so that a chain runs quickly on a virtual board
_MOST_VALUES = 2000  # of a tensor that a layer may enlarge
_RESIDUAL_CHANCE = 0.35
_LOW_BIT_CHANCE = 0.3


def chain(seed: int) -> Graph:
    """A chain of layers that shrinks from an image to a vector; equal seeds give equal chains."""
    generator = random.Random(seed)
    size = generator.choice(_SIZES[4:])
    shape = (size, size + generator.randrange(3), generator.choice((1, 2, 3, 4, 8)))
    result = LayerChain(shape)
    for _ in range(_LAYERS):
        _append_random_layer(result, generator)
    height, width, _channels = result.shape
    result.append(AveragePool(Window(height, width)))
    for channels in (generator.choice(_CHANNELS), generator.choice((2, 3, 5, 10))):
        result.append(Convolution(Window(1, 1), channels))
    # Widths are drawn apart, so that they do not change the shapes.
    widths = random.Random(f"widths of {seed}")
    operators = tuple(_sometimes_low_bit(operator, widths) for operator in result.operators)
    return replace(result.graph(), operators=operators)


def depthwise_chain(seed: int) -> Graph:
    """A chain of depthwise layers on maps of every width: other chains have few of them."""
    generator = random.Random(f"depthwise {seed}")
    # Widths shrink by twos: neighbouring seeds cover every remainder of blocks of four pixels.
    shape = (generator.randrange(12, 20), 14 + seed % 4, generator.choice(_DEPTHWISE_CHANNELS))
    result = LayerChain(shape)
    for index in range(_LAYERS):
        height, width, channels = result.shape
        if index % 4 == 3:
            result.append(Convolution(Window(1, 1), generator.choice(_DEPTHWISE_CHANNELS)))
            continue
        padding = (1, 1, 1, 1) if min(height, width) < 4 or generator.random() < 0.75 else (0,) * 4
        stride = 2 if min(height, width) > 8 and generator.random() < 0.1 else 1
        window = Window(3, 3, (stride, stride), padding)
        result.append(Convolution(window, channels, groups=channels))
    return result.graph()


def transformer_chain(seed: int) -> Graph:
    """What transformers have beside convolutions, and ternary convolutions of all kinds."""
    generator = random.Random(f"transformer {seed}")
    result = LayerChain((generator.randrange(3, 7), generator.randrange(3, 8), 8))
    for _ in range(_BLOCKS):
        heads, depth = generator.choice(_HEADS), generator.choice(_HEAD_CHANNELS)
        shared = generator.random() < 0.5
        result.append(LayerNorm(None, None))
        result.append(_ternary(Window(1, 1), 3 * heads * depth, shared))
        result.append(Attention(heads, depth**-0.5))
        result.append(AddConstant(None))
        _append_ternary(result, generator, Window(3, 3, padding=(1, 1, 1, 1)))
        _append_ternary(result, generator, Window(1, 1))
    return result.graph()


def _ternary(window: Window, channels: int, shared: bool, rectified: bool = False) -> Convolution:
    clamp = (0.0, inf) if rectified else NO_CLAMP
    return Convolution(window, channels, clamp=clamp, ternary=True, shared_scale=shared)


def _append_ternary(result: LayerChain, generator: random.Random, window: Window) -> None:
    """One alone, and one whose result is added to its input."""
    shared, rectified = generator.random() < 0.5, generator.random() < 0.5
    result.append(_ternary(window, generator.choice(_CHANNELS), shared, rectified))
    before = result.last
    channels = result.shape[2]
    result.append(_ternary(window, channels, generator.random() < 0.5))
    result.append(Add((0.0, inf) if generator.random() < 0.5 else NO_CLAMP), before)


def _sometimes_low_bit(operator: Operator, generator: random.Random) -> Operator:
    attributes = operator.attributes
    if not isinstance(attributes, Convolution) or attributes.groups > 1:
        return operator
    if generator.random() >= _LOW_BIT_CHANCE:
        return operator
    return replace(
        operator, attributes=replace(attributes, weight_bits=generator.choice(WIDTHS[1:]))
    )


def _append_random_layer(result: LayerChain, generator: random.Random) -> None:
    height, width, channels = result.shape
    kind = generator.choice(
        ("3x3", "3x3", "3x3", "1x1", "1x1", "1x1", "depthwise", "wide", "pool", "sum", "rare")
    )
    stride = 2 if min(height, width) > 6 and generator.random() < 0.2 else 1
    same = Window(3, 3, (stride, stride), (1, 1, 1, 1))
    if kind == "3x3":
        _append_convolution(result, generator, same)
    elif kind == "1x1":
        _append_convolution(result, generator, Window(1, 1))
    elif kind == "wide":
        size = generator.choice((2, 4, 5))
        if min(height, width) > size:
            _append_convolution(result, generator, Window(size, size))
    elif kind == "depthwise":
        window = generator.choice((same, Window(1, 1)))
        result.append(Convolution(window, channels, groups=channels))
    elif kind == "pool" and min(height, width) > 3:
        window = generator.choice((Window(3, 3, padding=(1, 1, 1, 1)), Window(2, 2, (2, 2))))
        if window.stride == (2, 2) and min(height, width) < 8:
            return
        result.append(AveragePool(window) if generator.random() < 0.7 else MaxPool(window))
    elif kind == "rare":
        _append_rare_layer(result, generator)
    else:
        before = result.last
        result.append(Rescale())
        result.append(Add(), before)


def _append_rare_layer(result: LayerChain, generator: random.Random) -> None:
    """What users' models hold besides convolutions; each keeps the size within bounds."""
    height, width, channels = result.shape
    size = height * width * channels
    before = result.last
    rare: tuple[tuple[Attributes, ...], ...] = (
        (Lookup("sigmoid", np.arange(-128, 128, dtype=np.int8)),),
        (Softmax(),),
        (Rearrange("Transpose", (width, height, channels), _swapped(height, width, channels)),),
    )
    if size <= _MOST_VALUES:
        rare += ((Pad((0, 0, 0), (1, 1, 0)),), (Concatenate(axis=2),), (Multiply(),))
    for attributes in generator.choice(rare):
        if isinstance(attributes, Concatenate | Multiply):
            result.append(Rescale())
            result.append(attributes, before)
        else:
            result.append(attributes)


def _swapped(height: int, width: int, channels: int) -> tuple[tuple[int, int], ...]:
    """The reads that exchange rows and columns."""
    return ((width, channels), (height, width * channels), (channels, 1))


def _append_convolution(result: LayerChain, generator: random.Random, window: Window) -> None:
    height, width, channels = result.shape
    out_height, out_width = window.output_size(height, width)
    depth = out_height * out_width * window.height * window.width * channels
    affordable = [n for n in _CHANNELS if n * depth <= _MOST_MACS] or [_CHANNELS[0]]
    keeps_shape = (out_height, out_width) == (height, width) and channels % 2 == 0
    if keeps_shape and channels in affordable and generator.random() < _RESIDUAL_CHANCE:
        before = result.last
        result.append(Convolution(window, channels))
        result.append(Add(), before)
    else:
        result.append(Convolution(window, generator.choice(affordable)))


_HELD_OUT_ARCHITECTURES = 4
_HELD_OUT_TRANSFORMERS = (
    TransformerShape(resolution=28, patch=7, dim=48, depth=2, heads=3, mlp_ratio=2),
    TransformerShape(resolution=28, patch=4, dim=32, depth=1, heads=2, mlp_ratio=4),
)
HELD_OUT = _HELD_OUT_ARCHITECTURES + len(_HELD_OUT_TRANSFORMERS)
"""How many networks are run but kept out of the fit, to judge it by."""

_SEED = 1
_CHAINS_TO_DEPTHWISE = 4
_CHAINS_TO_TRANSFORMER = 2
_SQUEEZED = 4  # one in so many networks
_SKELETONS = (
    Skeleton(stem_channels=4, cells_per_stage=1, resolution=8, input_channels=1),
    Skeleton(stem_channels=8, cells_per_stage=2, resolution=8, input_channels=1),
    Skeleton(stem_channels=8, cells_per_stage=1, resolution=16, input_channels=3),
    Skeleton(stem_channels=16, cells_per_stage=1, resolution=12, input_channels=3),
    Skeleton(stem_channels=12, cells_per_stage=1, resolution=10, input_channels=1),
)


def calibration_graphs(chains: int, networks: int) -> list[Graph]:
    """Chains of layers, then networks of the space; the last `HELD_OUT` are to judge the fit by.

    The last of those are transformers.
    """
    architectures = random_architectures(networks + _HELD_OUT_ARCHITECTURES, _SEED)
    return [
        *(chain(seed) for seed in range(chains)),
        *(depthwise_chain(seed) for seed in range(chains // _CHAINS_TO_DEPTHWISE)),
        *transformer_graphs(chains),
        *(architecture_graph(architecture) for architecture in architectures),
        *(transformer_graph(shape) for shape in _HELD_OUT_TRANSFORMERS),
    ]


def transformer_graphs(chains: int) -> list[Graph]:
    """Those of the chains that hold what transformers have, and ternary convolutions."""
    return [transformer_chain(seed) for seed in range(chains // _CHAINS_TO_TRANSFORMER)]


def arena_limit_bytes(index: int) -> int | None:
    """Every few networks are squeezed, so that row tiling is fitted too."""
    return 1 if index % _SQUEEZED == _SQUEEZED - 1 else None


def random_architectures(
    count: int, seed: int, skeletons: tuple[Skeleton, ...] = _SKELETONS
) -> list[Architecture]:
    """Random connected architectures, the skeletons in turn; equal seeds give equal ones."""
    generator = np.random.default_rng(seed)
    cells = all_cells()
    found: list[Architecture] = []
    while len(found) < count:
        cell = cells[int(generator.integers(len(cells)))]
        if cell.is_connected:
            skeleton = skeletons[len(found) % len(skeletons)]
            found.append(Architecture(cell=str(cell), skeleton=skeleton))
    return found

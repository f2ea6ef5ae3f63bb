"""Random small graphs: every operator, window, quantisation and clamp that the compiler takes.

`random_graph(seed)` and `random_copies(seed)` are the same graphs on every machine. Tests draw the
same kinds of graphs through Hypothesis, which then finds the smallest that fails: all choices go
through `Choices`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf, prod
from typing import Protocol, TypeVar

import numpy as np

from automcu.compiler import Graph, Operator, Quantisation, Tensor
from automcu.compiler.graph import Attributes
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
from automcu.compiler.tensor import NO_CLAMP, Clamp, Window

LOW_BITS = (6, 4, 3, 2)  # of weights that are packed
CLAMPS: tuple[Clamp, ...] = (NO_CLAMP, (0.0, inf), (0.0, 6.0), (-1.0, 1.0), (100.0, inf))
_BIAS_LIMIT = 1 << 18
_TERNARY_BIAS_LIMIT = 2000
_ATTENTION_SCALES = (0.005, 0.03, 0.1)
_MOST_STEPS = 8
_CHANNEL_STEPS = (1, 2, 4)
_TALL_EVERY = 5  # one graph in so many is a chain that can run some rows at a time
_MOST_BEFORE_COPY = 2  # steps: a short program keeps the copy's addresses constants

T = TypeVar("T")


class Choices(Protocol):
    """Where the generator's decisions come from."""

    def integer(self, least: int, most: int) -> int:
        """A whole number, both ends included."""

    def number(self, least: float, most: float) -> float:
        """A real number."""

    def one_of(self, options: Sequence[T]) -> T:
        """Any of the options."""


@dataclass(frozen=True)
class SeededChoices:
    """Decisions of a pseudo-random generator."""

    generator: np.random.Generator

    def integer(self, least: int, most: int) -> int:
        """A whole number, both ends included."""
        return int(self.generator.integers(least, most + 1))

    def number(self, least: float, most: float) -> float:
        """A real number."""
        return float(self.generator.uniform(least, most))

    def one_of(self, options: Sequence[T]) -> T:
        """Any of the options."""
        return options[int(self.generator.integers(len(options)))]


def random_graph(seed: int) -> Graph:
    """A graph with weights; equal seeds give equal graphs, and every fifth is a tall chain."""
    choices = SeededChoices(np.random.default_rng(seed))
    if seed % _TALL_EVERY == _TALL_EVERY - 1:
        return tall_chain(choices)
    steps = tuple(choices.one_of(ALL_STEPS) for _ in range(choices.integer(1, _MOST_STEPS)))
    return graph_of(choices, steps, channel_step=choices.one_of(_CHANNEL_STEPS))


def random_copies(seed: int) -> Graph:
    """An image's bytes moved, the last time at another stride; equal seeds give equal graphs.

    A compiler sees both addresses of such a loop as constants in one array. GCC 12 takes many of
    them for functions without effect where `MODEL_WRITES_MEMORY` does not tell it otherwise.
    """
    choices = SeededChoices(np.random.default_rng(seed))
    growing = GrowingGraph(choices)
    shape = (choices.integer(1, 9), choices.integer(1, 9), choices.integer(1, 8))
    growing.known = [replace(growing.known[0], shape=shape)]
    for _ in range(choices.integer(0, _MOST_BEFORE_COPY)):
        choices.one_of(MOVING_STEPS)(growing)
    choices.one_of(STRIDED_STEPS)(growing)
    return growing.graph()


def quantisation(choices: Choices) -> Quantisation:
    """Scales over six octaves and any zero point: no accumulator of a small layer overflows."""
    return Quantisation(float(np.float32(2 ** choices.number(-4, 2))), choices.integer(-128, 127))


def window(
    choices: Choices, height: int, width: int, largest: int = 4, pooling: bool = False
) -> Window:
    """A window that fits a height x width image; a pool's padding is less than its kernel."""
    kernel, dilation, before, after = [], [], [], []
    for length in (height, width):
        size = choices.integer(1, largest)
        step = choices.one_of((1, 1, 2, 3))
        most_padding = min(size - 1, length) if pooling else size
        first, last = (choices.integer(0, most_padding) for _ in range(2))
        if length + first + last < step * (size - 1) + 1:
            size, step, first, last = 1, 1, 0, 0
        kernel.append(size)
        dilation.append(step)
        before.append(first)
        after.append(last)
    stride = (choices.integer(1, 3), choices.integer(1, 3))
    return Window(
        kernel[0],
        kernel[1],
        stride,
        (before[0], before[1], after[0], after[1]),
        (dilation[0], dilation[1]),
    )


class GrowingGraph:
    """A graph under construction, and the generator that its weights come from."""

    def __init__(
        self, choices: Choices, all_quantised: bool = False, channel_step: int = 1
    ) -> None:
        self.choices = choices
        self.all_quantised = all_quantised
        self.channel_step = channel_step
        self.weights = np.random.default_rng(choices.integer(0, 2**32 - 1))
        shape = (choices.integer(1, 7), choices.integer(1, 7), self.channels())
        image = Tensor("image", shape, quantisation(choices))
        self.known = [image]
        self.unquantised: list[Tensor] = []
        self.operators: list[Operator] = []

    def graph(self) -> Graph:
        """The graph whose output is the newest tensor."""
        tensors = {tensor.name: tensor for tensor in (*self.known, *self.unquantised)}
        return Graph(tensors, tuple(self.operators), "image", self.operators[-1].output)

    def channels(self) -> int:
        """A number of channels."""
        return self.channel_step * self.choices.integer(1, 8)

    def clamp(self) -> Clamp:
        """No clamp, ReLU, ReLU6, a symmetric clamp, and one that leaves a single value."""
        return self.choices.one_of(CLAMPS)

    def window(self, source: Tensor, pooling: bool = False) -> Window:
        """A window that fits the tensor."""
        return window(self.choices, *source.shape[:2], pooling=pooling)

    def source(self) -> Tensor:
        """Mostly the newest tensor, so that long chains arise, sometimes an older one."""
        if self.choices.integer(0, 3):
            return self.known[-1]
        return self.choices.one_of(self.known)

    def add(
        self, attributes: Attributes, *inputs: Tensor, result: Quantisation | None = None
    ) -> Tensor:
        """Append the operator; its result is quantised at random unless it is said how."""
        shape = attributes.output_shape(*(tensor.shape for tensor in inputs))
        chosen = result or quantisation(self.choices)
        added = self._append(attributes, inputs, Tensor("", shape, chosen))
        self.known.append(added)
        return added

    def add_with_clamp(self, attributes: Attributes, *inputs: Tensor) -> Tensor:
        """Append the operator, sometimes with a clamp of its own behind it, as importers do."""
        if self.choices.integer(0, 3):
            return self.add(attributes, *inputs)
        if self.all_quantised:
            added = self.add(attributes, *inputs)
            after = self.choices.one_of((None, added.quantisation))
            return self.add(Rescale(self.clamp()), added, result=after)
        shape = attributes.output_shape(*(tensor.shape for tensor in inputs))
        added = self._append(attributes, inputs, Tensor("", shape, None))
        self.unquantised.append(added)
        return self.add(Rescale(self.clamp()), added)

    def _append(self, attributes: Attributes, inputs: tuple[Tensor, ...], like: Tensor) -> Tensor:
        index = len(self.operators)
        added = replace(like, name=f"tensor{index}")
        names = tuple(tensor.name for tensor in inputs)
        self.operators.append(Operator(f"layer{index}", names, added.name, attributes))
        return added

    def same_shape_as(self, tensor: Tensor) -> Tensor:
        """Any tensor of this shape; the same one where there is no other."""
        return self.choices.one_of([t for t in self.known if t.shape == tensor.shape])

    def convolution(self, source: Tensor, window: Window, channels: int, groups: int) -> Tensor:
        """Random weights, the most negative included, a scale and a bias for each channel."""
        shape = (channels, window.height, window.width, source.shape[2] // groups)
        attributes = Convolution(
            window=window,
            out_channels=channels,
            groups=groups,
            weights=self.weights.integers(-128, 128, shape, dtype=np.int8),
            weight_scales=2 ** self.weights.uniform(-10, -4, channels),
            bias=self.weights.integers(-_BIAS_LIMIT, _BIAS_LIMIT, channels, dtype=np.int32),
            clamp=self.clamp(),
        )
        kind = self.choices.integer(0, 7)
        if kind == 0:  # asymmetric weights
            offsets = self.weights.integers(-128, 129, channels, dtype=np.int32)
            attributes = replace(attributes, weight_offsets=offsets)
        elif kind == 1:
            bits = self.choices.one_of(LOW_BITS)
            low = np.int8(-(1 << (8 - bits)))  # clears the bits that are not stored
            attributes = replace(attributes, weights=attributes.weights & low, weight_bits=bits)
        return self.add_with_clamp(attributes, source)

    def ternary(self, source: Tensor, window: Window, channels: int) -> Tensor:
        """Weights of -1, 0 and 1, with a scale for each channel or one for all."""
        shape = (channels, window.height, window.width, source.shape[2])
        shared = self.choices.one_of((False, True))
        scales = 2 ** self.weights.uniform(-8, -4, 1 if shared else channels)
        limit = _TERNARY_BIAS_LIMIT * self.choices.one_of((1, 100))
        attributes = Convolution(
            window=window,
            out_channels=channels,
            weights=self.weights.integers(-1, 2, shape, dtype=np.int8),
            weight_scales=np.broadcast_to(scales, channels).copy(),
            bias=self.weights.integers(-limit, limit, channels, dtype=np.int32),
            clamp=self.clamp(),
            ternary=True,
            shared_scale=shared,
        )
        return self.add_with_clamp(attributes, source)


Step = Callable[[GrowingGraph], None]


def graph_of(
    choices: Choices, steps: Sequence[Step], all_quantised: bool = False, channel_step: int = 1
) -> Graph:
    """A graph of these steps that compiles; some of its operators may not reach the output.

    What only a clamp reads has no quantisation, as in most files, unless `all_quantised`.
    Channels are multiples of `channel_step` but for where a transpose makes them of something else.
    """
    growing = GrowingGraph(choices, all_quantised, channel_step)
    for step in steps:
        step(growing)
    return growing.graph()


def tall_chain(choices: Choices) -> Graph:
    """Layers with windows, one after the other, on an image of many rows that are whole words."""
    growing = GrowingGraph(choices, all_quantised=True, channel_step=4)
    image = replace(growing.known[0], shape=(choices.integer(8, 20), choices.integer(1, 6), 4))
    growing.known = [image]
    tensors = [image]
    for _ in range(choices.integer(2, 5)):
        choices.one_of(CHAIN_STEPS)(growing)
        tensors += growing.known[1:]
        growing.known = growing.known[-1:]
    growing.known = tensors
    return growing.graph()


def _plain(growing: GrowingGraph) -> None:
    source = growing.source()
    channels = growing.channels()
    growing.convolution(source, growing.window(source), channels, 1)


def _pointwise(growing: GrowingGraph) -> None:
    growing.convolution(growing.source(), Window(1, 1), growing.channels(), 1)


def _connected(growing: GrowingGraph) -> None:
    source = growing.source()
    growing.convolution(source, Window(*source.shape[:2]), growing.channels(), 1)


def _grouped(growing: GrowingGraph) -> None:
    source = growing.source()
    groups = growing.choices.one_of([n for n in range(1, 9) if source.shape[2] % n == 0])
    channels = groups * growing.channel_step * growing.choices.integer(1, 3)
    growing.convolution(source, growing.window(source), channels, groups)


def _depthwise(growing: GrowingGraph) -> None:
    source = growing.source()
    channels = source.shape[2] * growing.choices.one_of((1, 1, 2))
    growing.convolution(source, growing.window(source), channels, source.shape[2])


def _ternary(growing: GrowingGraph) -> None:
    source = growing.source()
    chosen = growing.choices.one_of((Window(1, 1), growing.window(source)))
    growing.ternary(source, chosen, growing.channels())


def _residual(growing: GrowingGraph) -> None:
    """A convolution that keeps the shape, added to its own input or to another tensor."""
    source = growing.source()
    size = growing.choices.one_of((1, 3))
    channels = source.shape[2]
    same = Window(size, size, padding=(size // 2,) * 4)
    kind = growing.choices.integer(0, 3)
    if kind == 0:
        branch = growing.ternary(source, same, channels)
    else:
        branch = growing.convolution(source, same, channels, channels if kind == 1 else 1)
    terms = [branch, growing.same_shape_as(branch)]
    if growing.choices.integer(0, 1):
        terms.reverse()
    growing.add_with_clamp(Add(growing.clamp()), *terms)


def _addition(growing: GrowingGraph) -> None:
    first = growing.source()
    sign = growing.choices.one_of((1, 1, -1))
    growing.add_with_clamp(Add(growing.clamp(), sign), first, growing.same_shape_as(first))


def _constants(growing: GrowingGraph) -> None:
    """Constants as in the embedding of positions."""
    source = growing.source()
    values = growing.weights.integers(-127, 128, source.shape, dtype=np.int8)
    growing.add(AddConstant(values * 2 ** growing.choices.number(-8, 0)), source)


def _product(growing: GrowingGraph) -> None:
    """By a tensor of its shape, or by one pixel, as in squeeze and excite."""
    first = growing.source()
    second = growing.same_shape_as(first)
    if growing.choices.integer(0, 1):
        second = growing.add(AveragePool(Window(*first.shape[:2])), first)
    growing.add(Multiply(growing.clamp()), first, second)


def _average(growing: GrowingGraph) -> None:
    source = growing.source()
    chosen = growing.window(source, pooling=True)
    counts = growing.choices.one_of((False, True))
    growing.add_with_clamp(AveragePool(chosen, counts, growing.clamp()), source)


def _maximum(growing: GrowingGraph) -> None:
    source = growing.source()
    chosen = growing.window(source, pooling=True)
    growing.add(MaxPool(chosen), source, result=source.quantisation)


def _rescale(growing: GrowingGraph) -> None:
    growing.add(Rescale(growing.clamp()), growing.source())


def _lookup(growing: GrowingGraph) -> None:
    table = growing.weights.integers(-128, 128, 256, dtype=np.int8)
    growing.add(Lookup("sigmoid", table), growing.source())


def _softmax(growing: GrowingGraph) -> None:
    growing.add(Softmax(), growing.source(), result=Quantisation(1 / 256, -128))


def _layer_norm(growing: GrowingGraph) -> None:
    """Gains that are ternary, as in ternary transformers, or any."""
    source = growing.source()
    channels = source.shape[2]
    gains = growing.weights.normal(1, 0.5, channels)
    if growing.choices.integer(0, 1):
        gains = growing.weights.integers(-1, 2, channels) * 0.7
    offsets = growing.weights.normal(0, 1, channels)
    growing.add(LayerNorm(gains, offsets, growing.choices.one_of((1e-5, 1e-3))), source)


def _attention(growing: GrowingGraph) -> None:
    """A projection to queries, keys and values, and attention over all pixels."""
    heads, depth = growing.choices.integer(1, 3), growing.choices.integer(1, 12)
    source = growing.source()
    scale = growing.choices.one_of(_ATTENTION_SCALES)
    projected = growing.convolution(source, Window(1, 1), 3 * heads * depth, 1)
    narrow = Quantisation(scale, growing.choices.integer(-128, 127))
    projected = growing.add(Rescale(), projected, result=narrow)
    growing.add(Attention(heads, depth**-0.5), projected)


def _concatenation(growing: GrowingGraph) -> None:
    """Of tensors brought to one scale, along an axis in which they may differ."""
    first = growing.source()
    axis = growing.choices.integer(0, 2)
    second = growing.choices.one_of(
        [
            tensor
            for tensor in growing.known
            if all(tensor.shape[i] == first.shape[i] for i in range(3) if i != axis)
        ]
    )
    if second.quantisation != first.quantisation:
        second = growing.add(Rescale(), second, result=first.quantisation)
    growing.add(Concatenate(axis), first, second, result=first.quantisation)


def _pad(growing: GrowingGraph) -> None:
    source = growing.source()
    before, after = (
        (growing.choices.integer(0, 2), growing.choices.integer(0, 2), 0) for _ in range(2)
    )
    growing.add(Pad(before, after), source, result=source.quantisation)


def _transpose(growing: GrowingGraph) -> None:
    source = growing.source()
    height, width, channels = source.shape
    axes = ((width, channels), (height, width * channels), (channels, 1))
    rearrange = Rearrange("transpose", (width, height, channels), axes)
    growing.add(rearrange, source, result=source.quantisation)


def _slice(growing: GrowingGraph) -> None:
    """Every n-th index of each axis, from the front or from the back."""
    source = growing.source()
    strides = [prod(source.shape[axis + 1 :]) for axis in range(3)]
    offset, axes = 0, []
    for size, stride in zip(source.shape, strides, strict=True):
        step = growing.choices.integer(1, 2)
        first = growing.choices.integer(0, size - 1)
        count = growing.choices.integer(1, -(-(size - first) // step))
        backwards = growing.choices.integer(0, 3) == 0
        offset += (first + (count - 1) * step if backwards else first) * stride
        axes.append((count, -step * stride if backwards else step * stride))
    shape = (axes[0][0], axes[1][0], axes[2][0])
    growing.add(Rearrange("slice", shape, tuple(axes), offset), source, result=source.quantisation)


def _one_channel(growing: GrowingGraph) -> None:
    source = growing.source()
    height, width, channels = source.shape
    chosen = growing.choices.integer(0, channels - 1)
    rearrange = Rearrange("slice", (height, width, 1), ((height * width, channels),), chosen)
    growing.add(rearrange, source, result=source.quantisation)


def _every_other(growing: GrowingGraph) -> None:
    """Every n-th column, or row, of all channels."""
    source = growing.source()
    height, width, channels = source.shape
    step = growing.choices.integer(2, 3)
    rows, columns = growing.choices.one_of(((1, step), (step, 1)))
    shape = (-(-height // rows), -(-width // columns), channels)
    strides = (rows * width * channels, columns * channels, 1)
    axes = tuple(zip(shape, strides, strict=True))
    growing.add(Rearrange("slice", shape, axes), source, result=source.quantisation)


def _channels_first(growing: GrowingGraph) -> None:
    """As networks from PyTorch flatten an image."""
    source = growing.source()
    pixels, channels = source.shape[0] * source.shape[1], source.shape[2]
    axes = ((channels, 1), (pixels, channels))
    rearrange = Rearrange("flatten", (1, 1, pixels * channels), axes)
    growing.add(rearrange, source, result=source.quantisation)


def _average_of_one(growing: GrowingGraph) -> None:
    """A pool that does nothing, which is left out."""
    source = growing.source()
    growing.add(AveragePool(Window(1, 1)), source, result=source.quantisation)


def _enlarge(growing: GrowingGraph) -> None:
    """Nearest neighbours: every pixel is read several times."""
    source = growing.source()
    height, width, channels = source.shape
    rows, columns = growing.choices.integer(1, 2), growing.choices.integer(1, 3)
    row = width * channels
    axes = ((height, row), (rows, 0), (width, channels), (columns, 0), (channels, 1))
    shape = (height * rows, width * columns, channels)
    growing.add(Rearrange("resize", shape, axes), source, result=source.quantisation)


def _residual_block(growing: GrowingGraph) -> None:
    """Two convolutions that keep the shape, added to what went into the first."""
    source = growing.source()
    same = Window(3, 3, padding=(1, 1, 1, 1))
    inside = growing.convolution(source, same, growing.channels(), 1)
    branch = growing.convolution(inside, same, source.shape[2], 1)
    growing.add(Add(growing.clamp()), branch, source)


# What networks of convolutions are made of, and what came with transformers.
CONVOLUTIONAL_STEPS: tuple[Step, ...] = (
    _plain,
    _pointwise,
    _connected,
    _grouped,
    _depthwise,
    _residual,
    _addition,
    _product,
    _average,
    _maximum,
    _rescale,
    _lookup,
    _softmax,
    _concatenation,
    _pad,
    _transpose,
    _slice,
    _enlarge,
)
TRANSFORMER_STEPS: tuple[Step, ...] = (_ternary, _constants, _layer_norm, _attention)
ALL_STEPS = CONVOLUTIONAL_STEPS + TRANSFORMER_STEPS
CHAIN_STEPS: tuple[Step, ...] = (
    _plain,
    _pointwise,
    _depthwise,
    _maximum,
    _rescale,
    _lookup,
    _residual_block,
)
# Copies of single bytes; those of one channel are the likeliest to be taken for nothing.
STRIDED_STEPS: tuple[Step, ...] = (
    _one_channel,
    _one_channel,
    _one_channel,
    _channels_first,
    _transpose,
    _slice,
)
# What stands before them, in networks too.
MOVING_STEPS: tuple[Step, ...] = (
    *STRIDED_STEPS,
    _every_other,
    _enlarge,
    _pad,
    _concatenation,
    _average_of_one,
    _pointwise,
)

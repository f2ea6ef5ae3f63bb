"""Layers of every kind and size, side by side, for the cost models to be fitted to.

Sizes are drawn log-uniformly, so that one channel, one pixel and short rows are seen as often as
large images. The layers make no network: each has inputs of its own.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from math import inf

import numpy as np

from automcu.calibration.calibrate import varied_choice
from automcu.calibration.networks import ANY_SCALE, with_random_weights
from automcu.compiler import Program
from automcu.compiler.arena import Arena, occupied_bytes
from automcu.compiler.graph import Attributes, Graph, Operator
from automcu.compiler.kernel import Kernel
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
from automcu.compiler.tensor import NO_CLAMP, Clamp, Quantisation, Shape, Tensor, Window
from automcu.mcu.profile import Device

LAYERS = 80
_MOST_VALUES = 6_000  # of a tensor
_MOST_MACS = 120_000
_MOST_CHANNELS = 128
_MOST_WEIGHTS = 12_000
RARE_FROM = 1000  # seeds from here on draw what users' models seldom have
WINDOWS_FROM = 2000  # and from here on long and narrow windows,
POOLS_FROM = 3000  # pools of every kind of window in turn,
BLOCKS_FROM = 4000  # more weights than pixels, sums, and depthwise windows of any size,
DILATED_FROM = 5000  # pools with gaps between their taps
_OFTEN_TWICE = 0.3
_RARE = 0.15  # chance of scales that kernels have forms of their own for ...
_AMPLIFYING = 0.75  # ... of weights, and of a sum
_FINE_SCALE = 1 / 1024
_TWICE = 0.08  # chance of a second layer with the same kernel
_KINDS = {
    "convolution": 9,
    "pointwise": 6,
    "connected": 5,
    "heavy": 1,
    "one_dimensional": 3,
    "grouped": 2,
    "depthwise": 9,
    "average": 10,
    "maximum": 8,
    "add": 4,
    "rescale": 2,
    "lookup": 2,
    "multiply": 3,
    "softmax": 2,
    "concatenate": 3,
    "pad": 3,
    "rearrange": 4,
    "add_constant": 2,
    "layer_norm": 2,
    "attention": 2,
    "ternary": 3,
}
_RARE_KINDS = {
    "dilated_pool": 6,
    "odd_pool": 6,
    "single_tap": 3,
    "grouped_asymmetric": 2,
    "rescale": 1,
    "add": 1,
    "add_constant": 2,
    "attention": 1,
    "lookup": 1,
    "multiply": 1,
    "softmax": 1,
}
_WINDOW_KINDS = {"gathered": 5, "long_depthwise": 3}
_BLOCK_KINDS = {
    "connected": 4,
    "large": 4,
    "pointwise": 3,
    "convolution": 3,
    "summed": 5,
    "odd_depthwise": 7,
}
_KINDS_FROM = {
    0: _KINDS,
    RARE_FROM: _RARE_KINDS,
    WINDOWS_FROM: _WINDOW_KINDS,
    POOLS_FROM: {"pool_in_turn": 1},
    BLOCKS_FROM: _BLOCK_KINDS,
    DILATED_FROM: {"any_dilated_pool": 1},
}
_Turn = tuple[str, str, bool, bool, bool]
_POOLS: tuple[_Turn, ...] = tuple(
    (rows, columns, one_row, cut, mean)
    for rows, columns, one_row, cut, mean in product("12n", "12n", *((False, True),) * 3)
    if rows + columns != "11" and (rows == "2" or not one_row)
)
"""Rows and columns of a window, whether one row comes out, a border cuts it, it is the mean."""


def layer_program(seed: int, device: Device, layers: int = LAYERS) -> Program:
    """Unrelated layers with random weights and kernels drawn by lot; equal seeds, equal layers."""
    graph = _with_rare_scales(with_random_weights(single_layers(seed, layers), seed), seed)
    choose = varied_choice(seed)
    kernels = {one.name: choose(one, graph, device) for one in graph.operators}
    return side_by_side(graph, kernels, device.core)


def networks_side_by_side(programs: Mapping[str, Program]) -> Program:
    """The layers of several compiled networks as one program; names begin with their network's."""
    tensors: dict[str, Tensor] = {}
    operators: list[Operator] = []
    kernels: dict[str, Kernel] = {}
    for network, program in programs.items():
        for name, tensor in program.graph.tensors.items():
            tensors[f"{network}/{name}"] = replace(tensor, name=f"{network}/{name}")
        for one in program.graph.operators:
            renamed = replace(
                one,
                name=f"{network}/{one.name}",
                inputs=tuple(f"{network}/{name}" for name in one.inputs),
                output=f"{network}/{one.output}",
            )
            operators.append(renamed)
            kernels[renamed.name] = program.kernels[one.name]
    graph = Graph(tensors, tuple(operators), operators[0].inputs[0], operators[-1].output)
    return side_by_side(graph, kernels, next(iter(programs.values())).core)


def side_by_side(graph: Graph, kernels: Mapping[str, Kernel], core: str | None) -> Program:
    """A program whose layers all have their tensors at the arena's start.

    They only work where each is given its input (see `counting`).
    """
    tensors: dict[str, int] = {}
    scratch: dict[str, int] = {}
    size = 0
    for operator in graph.operators:
        place = 0
        for name in operator.inputs:
            tensors[name] = place
            place += occupied_bytes(graph.tensors[name].size)
        kernel = kernels[operator.name]
        over = next(iter(kernel.overwrites), None)
        tensors[operator.output] = place if over is None else tensors[operator.inputs[over]]
        place += occupied_bytes(graph.tensors[operator.output].size)
        scratch[operator.name] = place
        size = max(size, place + occupied_bytes(kernel.scratch_bytes))
    return Program(graph, kernels, Arena((), {}, tensors, scratch, size, size), core)


def _with_rare_scales(graph: Graph, seed: int) -> Graph:
    """Some layers with scales that ask for wider arithmetic, for which kernels have forms."""
    draw = random.Random(f"scales {seed}")
    tensors = dict(graph.tensors)
    operators = []
    for operator in graph.operators:
        attributes = operator.attributes
        if draw.random() < _RARE:
            if isinstance(attributes, Convolution) and attributes.weight_scales is not None:
                scales = np.full_like(attributes.weight_scales, _AMPLIFYING)
                attributes = replace(attributes, weight_scales=scales)
            elif isinstance(attributes, Add | AddConstant):
                result = tensors[operator.output]
                tensors[operator.output] = replace(
                    result, quantisation=Quantisation(_FINE_SCALE, 0)
                )
        operators.append(replace(operator, attributes=attributes))
    return replace(graph, tensors=tensors, operators=tuple(operators))


def single_layers(seed: int, layers: int = LAYERS) -> Graph:
    """Layers without weights, some of them twice; none reads what another writes."""
    turns = [_POOLS[(seed * layers + i) % len(_POOLS)] for i in range(layers)]
    sampler = _Sampler(random.Random(f"single layers {seed}"), {}, [], turns)
    draw = random.Random(f"kinds {seed}")
    rare = seed >= RARE_FROM
    kinds = _KINDS_FROM[max(first for first in _KINDS_FROM if first <= seed)]
    for kind in draw.choices(list(kinds), list(kinds.values()), k=layers):
        getattr(sampler, kind)()
        if draw.random() < (_OFTEN_TWICE if rare else _TWICE):
            sampler.again()
    operators = tuple(sampler.operators)
    return Graph(sampler.tensors, operators, operators[0].inputs[0], operators[-1].output)


@dataclass(frozen=True)
class _Sampler:
    generator: random.Random
    tensors: dict[str, Tensor]
    operators: list[Operator]
    pools: list[_Turn]

    def between(self, least: int, most: int) -> int:
        """Log-uniform."""
        low, high = np.log(least), np.log(most + 1)
        return min(most, int(np.exp(self.generator.uniform(low, high))))

    def chance(self, probability: float) -> bool:
        return self.generator.random() < probability

    def channels(self, most: int = _MOST_CHANNELS) -> int:
        """Mostly multiples of four, as networks have them, but any number from one on."""
        most = max(1, most)
        if most >= 4 and self.chance(0.65):
            return 4 * self.between(1, most // 4)
        return self.between(1, most)

    def image(self, channels: int, least: int = 1) -> Shape:
        """Height and width that keep the tensor small; one in some is a single row or column."""
        most = max(least, _MOST_VALUES // channels)
        height = self.between(least, max(least, min(48, int(most**0.5) + 1)))
        width = self.between(least, max(least, min(48, most // height)))
        if self.chance(0.4):
            width = height
        return height, width, channels

    def clamp(self) -> Clamp:
        return self.generator.choice((NO_CLAMP, (0.0, inf), (0.0, 6.0), NO_CLAMP))

    def layer(self, attributes: Attributes, *shapes: Shape) -> None:
        """One layer on inputs of these shapes."""
        name = f"layer_{len(self.operators)}"
        inputs = tuple(f"{name}_{letter}" for letter, _ in zip("ab", shapes, strict=False))
        results = {name: attributes.output_shape(*shapes)}
        for tensor, shape in (*zip(inputs, shapes, strict=True), *results.items()):
            self.tensors[tensor] = Tensor(tensor, shape, ANY_SCALE)
        self.operators.append(Operator(name, inputs, name, attributes))

    def again(self) -> None:
        """The newest layer once more, so that two share its function."""
        last = self.operators[-1]
        self.layer(last.attributes, *(self.tensors[name].shape for name in last.inputs))

    def window(self, height: int, width: int, largest: int = 5, pooling: bool = False) -> Window:
        """Square mostly, with the padding that networks have: none, or what keeps the size."""
        tall = self.generator.choice((1, 2, 2, 3, 3, 3, 3, largest, self.between(1, largest)))
        wide = tall if self.chance(0.75) else self.between(1, largest)
        tall, wide = min(tall, height), min(wide, width)
        if pooling and tall * wide == 1:
            tall, wide = min(2, height), min(2, width)
        stride = self.generator.choice(((1, 1), (1, 1), (2, 2), (min(tall, 3), min(wide, 3))))
        if pooling and self.chance(0.5):
            stride = (tall, wide)
        padding = (0, 0, 0, 0)
        if self.chance(0.5):
            top, left = (tall - 1) // 2, (wide - 1) // 2
            padding = (top, left, tall - 1 - top, wide - 1 - left)
        return Window(tall, wide, stride, padding)

    def _convolve(self, window: Window, shape: Shape, **options: object) -> None:
        """A convolution with so many output channels that it is neither long nor heavy."""
        height, width, channels = shape
        out_height, out_width = window.output_size(height, width)
        depth = window.height * window.width * channels
        most = min(
            _MOST_CHANNELS,
            _MOST_MACS // (depth * out_height * out_width),
            _MOST_WEIGHTS // depth,
            _MOST_VALUES // (out_height * out_width),
        )
        attributes = Convolution(window, self.channels(max(1, most)), clamp=self.clamp())
        kind = self.generator.random()
        if kind < 0.12:
            offsets = np.zeros(attributes.out_channels, np.int32)
            attributes = replace(attributes, weight_offsets=offsets)
        elif kind < 0.3:
            attributes = replace(attributes, weight_bits=self.generator.choice(WIDTHS[1:]))
        elif kind < 0.45:
            self.sum(attributes, shape)
            return
        self.layer(attributes, shape)

    def sum(self, attributes: Convolution, shape: Shape) -> None:
        """A convolution whose result is added to another tensor, in one kernel."""
        result = attributes.output_shape(shape)
        summed = replace(attributes, clamp=NO_CLAMP, sum_scale=1.0, sum_clamp=self.clamp())
        self.layer(summed, shape, result)

    def convolution(self) -> None:
        channels = self.channels(32)
        shape = self.image(channels, 2)
        window = self.window(*shape[:2], largest=self.generator.choice((5, 5, 7, 10)))
        if self.chance(0.07) and min(shape[:2]) > 2 * max(window.height, window.width):
            window = Window(window.height, window.width, dilation=(2, 2))
        self._convolve(window, shape)

    def pointwise(self) -> None:
        self._convolve(Window(1, 1), self.image(self.channels()))

    def heavy(self) -> None:
        """More weights than most caches hold, read for two rows of pixels or for one pixel."""
        channels = 4 * self.between(32, 64)
        pixels = self.generator.choice(((1, 1), (2, 5), (2, 34)))
        self.layer(Convolution(Window(1, 1), 4 * self.between(16, 48)), (*pixels, channels))

    def large(self) -> None:
        """More weights than small caches hold, for a pixel or two."""
        pixels = self.generator.choice(((1, 1), (1, 1), (1, 2), (1, 3), (2, 2)))
        channels = 4 * self.between(16, 96)
        self.layer(Convolution(Window(1, 1), 4 * self.between(8, 48)), (*pixels, channels))

    def connected(self) -> None:
        """One pixel, from one input to some thousand; sometimes as a window over an image."""
        if self.chance(0.3):
            shape = self.image(self.channels(32))
            self._convolve(Window(*shape[:2]), shape)
        else:
            self._convolve(Window(1, 1), (1, 1, self.between(1, 3000)))

    def one_dimensional(self) -> None:
        channels, length, taps = self.channels(32), self.between(2, 128), self.between(2, 16)
        taps = min(taps, length)
        same = (taps - 1) // 2, taps // 2
        stride = self.generator.choice((1, 1, 2))
        padded = self.chance(0.5)
        if self.chance(0.5):
            padding = (same[0], 0, same[1], 0) if padded else (0, 0, 0, 0)
            self._convolve(Window(taps, 1, (stride, 1), padding), (length, 1, channels))
        else:
            padding = (0, same[0], 0, same[1]) if padded else (0, 0, 0, 0)
            self._convolve(Window(1, taps, (1, stride), padding), (1, length, channels))

    def grouped(self) -> None:
        groups, inside = self.between(2, 8), self.between(1, 8)
        shape = self.image(groups * inside)
        window = self.window(*shape[:2], largest=3)
        out = groups * self.between(2 if inside == 1 else 1, 6)
        self.layer(Convolution(window, out, groups=groups, clamp=self.clamp()), shape)

    def depthwise(self) -> None:
        channels = max(2, self.channels(64))
        shape = self.image(channels)
        window = self.window(*shape[:2], largest=self.generator.choice((3, 5, 9)))
        if self.chance(0.07) and min(shape[:2]) > 2 * max(window.height, window.width):
            window = Window(window.height, window.width, dilation=(2, 2))
        attributes = Convolution(window, channels, groups=channels, clamp=self.clamp())
        kind = self.generator.random()
        if kind < 0.12:
            attributes = replace(attributes, out_channels=2 * channels)
        elif kind < 0.24:
            attributes = replace(attributes, weight_offsets=np.zeros(channels, np.int32))
        elif kind < 0.36:
            self.sum(attributes, shape)
            return
        self.layer(attributes, shape)

    def average(self) -> None:
        shape = self.image(self.channels())
        clamp = self.clamp() if self.chance(0.3) else NO_CLAMP
        whole = self.chance(0.3)
        window = Window(*shape[:2]) if whole else self.window(*shape[:2], pooling=True)
        self.layer(AveragePool(window, self.chance(0.2), clamp), shape)

    def pool(self, window: Window, shape: Shape) -> None:
        """Either pool."""
        mean = AveragePool(window, self.chance(0.3))
        self.layer(mean if self.chance(0.5) else MaxPool(window), shape)

    def dilated_pool(self) -> None:
        """Taps two or three apart."""
        apart, size = self.between(2, 3), self.between(1, 3)
        wide = self.between(1 if size > 1 else 2, 3)
        shape = self.image(self.channels(32), max(apart * 2 + 1, 4))
        side = self.generator.choice((0, 0, 1))
        stride = self.between(1, 3)
        window = Window(size, wide, (stride, stride), (side * (size > 1), side * (wide > 1), 0, 0))
        self.pool(replace(window, dilation=(apart, apart)), shape)

    def any_dilated_pool(self) -> None:
        """Each axis with a size, gaps and a border of its own."""
        tall, wide = self.between(1, 4), self.between(1, 4)
        if tall * wide == 1:
            wide = 2
        apart = (self.between(1, 3), self.between(2, 3))
        apart = apart if self.chance(0.5) and wide > 1 else (self.between(2, 3), apart[0])
        border = self.chance(0.6)
        top, left = (int(border and size > 1) for size in (tall, wide))
        bottom, right = (side * int(self.chance(0.5)) for side in (top, left))
        stride = (self.between(1, 3), self.between(1, 3))
        window = replace(Window(tall, wide, stride, (top, left, bottom, right)), dilation=apart)
        self.pool(window, self.image(self.channels(32), max(window.reach)))

    def odd_pool(self) -> None:
        """Windows of one or two columns or rows that are cut off at the border."""
        tall, wide = self.between(1, 4), self.between(1, 4)
        if tall * wide == 1:
            tall = 2
        shape = self.image(self.channels(32), 4)
        if self.chance(0.4):
            shape = (self.between(1, tall), *shape[1:])
        padding = (tall // 2, wide // 2, (tall - 1) // 2, (wide - 1) // 2)
        stride = self.between(1, 3)
        self.pool(Window(tall, wide, (stride, stride), padding), shape)

    def single_tap(self) -> None:
        """A depthwise layer of one tap, with a border around the image."""
        channels = self.between(2, 24)
        attributes = Convolution(
            Window(1, 1, (self.between(1, 2),) * 2, (self.generator.randrange(2),) * 4),
            channels * self.between(1, 2),
            groups=channels,
        )
        if self.chance(0.4):
            offsets = np.zeros(attributes.out_channels, np.int32)
            attributes = replace(attributes, weight_offsets=offsets)
        self.layer(attributes, self.image(channels))

    def pool_in_turn(self) -> None:
        """A pool whose window a compiler makes other loops of than of the one before."""
        rows, columns, one_row, cut, mean = self.pools.pop()
        tall, wide = (self.between(3, 5) if n == "n" else int(n) for n in (rows, columns))
        before = (tall // 2, wide // 2) if cut else (0, 0)
        stride = self.between(1, 3) if self.chance(0.5) else max(tall, wide)
        height = tall + stride * (0 if one_row else self.between(1, 8)) - before[0]
        width = wide + stride * self.between(1, 8) - before[1]
        window = Window(tall, wide, (stride, stride), (*before, 0, 0))
        # Special kernels take four channels at a time: they are to be left out.
        shape = height, width, 4 * self.between(1, 12) - (2 if mean else 0)
        self.layer(AveragePool(window) if mean else MaxPool(window), shape)

    def summed(self) -> None:
        """A convolution that keeps the size, and the sum of its result with another tensor."""
        channels = 2 * self.between(1, 32)
        height, width, _ = self.image(channels)
        size = min(3, height, width) if self.chance(0.5) else 1
        side = (size - 1) // 2
        behind = size - 1 - side
        most = max(2, _MOST_MACS // (height * width * size * size * channels))
        window = Window(size, size, padding=(side, side, behind, behind))
        out = 2 * self.between(1, max(1, min(32, most // 2)))
        self.sum(Convolution(window, out), (height, width, channels))

    def odd_depthwise(self) -> None:
        """Windows of up to four rows and columns, in images of few rows too."""
        tall, wide = self.between(1, 4), self.between(1, 4)
        channels = max(2, self.channels(48))
        height = tall if self.chance(0.3) else self.between(tall, 16)
        cut = self.chance(0.5)
        padding = (tall // 2, wide // 2, (tall - 1) // 2, (wide - 1) // 2) if cut else (0,) * 4
        stride = self.between(1, 2)
        window = Window(tall, wide, (stride, stride), padding)
        attributes = Convolution(window, channels, groups=channels, clamp=self.clamp())
        shape = (height, self.between(wide, 16), channels)
        if self.chance(0.25):
            self.sum(attributes, shape)
        else:
            self.layer(attributes, shape)

    def gathered(self) -> None:
        """Tall windows of a few values a row."""
        channels = self.generator.choice((1, 1, 1, 2, 3))
        tall, wide = self.between(4, 10), self.between(1, max(1, 8 // channels))
        height, width, _ = self.image(channels, 12)
        same = ((tall - 1) // 2, (wide - 1) // 2, tall // 2, wide // 2)
        stride = self.generator.choice((1, 1, 2))
        window = Window(tall, wide, (stride, stride), same if self.chance(0.6) else (0,) * 4)
        out_height, out_width = window.output_size(height, width)
        most = max(2, _MOST_MACS // (out_height * out_width * tall * wide * channels))
        out = 2 * self.between(1, max(1, min(16, most // 2)))
        self.layer(Convolution(window, out, clamp=self.clamp()), (height, width, channels))

    def long_depthwise(self) -> None:
        """Windows of one row, or of one column."""
        channels, length, taps = self.channels(32), self.between(16, 100), self.between(4, 16)
        channels = max(2, channels)
        side, stride = (taps - 1) // 2, self.generator.choice((1, 1, 2))
        if self.chance(0.7):
            window = Window(1, taps, (1, stride), (0, side, 0, taps // 2))
            shape = (1, length, channels)
        else:
            window = Window(taps, 1, (stride, 1), (side, 0, taps // 2, 0))
            shape = (length, 1, channels)
        self.layer(Convolution(window, channels, groups=channels), shape)

    def grouped_asymmetric(self) -> None:
        """Groups, and weights with zero points."""
        groups, inside = self.between(2, 6), self.between(2, 6)
        shape = self.image(groups * inside)
        window = self.window(*shape[:2], largest=3)
        out = groups * self.between(1, 4)
        offsets = np.zeros(out, np.int32)
        self.layer(Convolution(window, out, groups=groups, weight_offsets=offsets), shape)

    def maximum(self) -> None:
        shape = self.image(self.channels())
        self.layer(MaxPool(self.window(*shape[:2], pooling=True)), shape)

    def vector(self) -> Shape:
        """Any shape."""
        return self.image(self.channels())

    def add(self) -> None:
        shape = self.vector()
        self.layer(Add(self.clamp(), self.generator.choice((1, 1, -1))), shape, shape)

    def rescale(self) -> None:
        self.layer(Rescale(self.clamp()), self.vector())

    def lookup(self) -> None:
        self.layer(Lookup("sigmoid", np.arange(-128, 128, dtype=np.int8)), self.vector())

    def multiply(self) -> None:
        height, width, channels = shape = self.vector()
        others = (shape, (1, 1, channels), (height, width, 1), (1, 1, 1))
        self.layer(Multiply(self.clamp()), shape, self.generator.choice(others))

    def softmax(self) -> None:
        if self.chance(0.5):
            self.layer(Softmax(), (1, 1, self.between(2, 100)))
        else:
            self.layer(Softmax(), self.vector())

    def concatenate(self) -> None:
        shape = self.vector()
        axis = self.generator.choice((0, 1, 2, 2))
        other = list(shape)
        other[axis] = self.between(1, 2 * shape[axis])
        self.layer(Concatenate(axis), shape, (other[0], other[1], other[2]))

    def pad(self) -> None:
        height, width, channels = self.vector()
        channels = channels // 2 or 1
        before = self.generator.randrange(3), self.generator.randrange(3), 0
        after = self.generator.randrange(3), self.generator.randrange(3), 0
        if self.chance(0.2):
            before, after = (0, 0, 0), (0, 0, self.between(1, 8))
        self.layer(Pad(before, after), (height, width, channels))

    def rearrange(self) -> None:
        """A transpose, every second pixel, pixels twice, or part of the channels."""
        height, width, channels = shape = self.vector()
        row = width * channels
        axes: tuple[tuple[int, int], ...]
        result: Shape
        kind = self.generator.randrange(5)
        if kind == 0:
            axes, result = (
                ((width, channels), (height, row), (channels, 1)),
                (width, height, channels),
            )
        elif kind == 1:
            axes, result = (
                ((channels, 1), (height, row), (width, channels)),
                (channels, height, width),
            )
        elif kind == 2 and channels > 1:
            part = self.between(1, channels - 1)
            axes, result = ((height * width, channels), (part, 1)), (height, width, part)
        elif kind == 3:
            axes = ((height, row), (2, 0), (width, channels), (2, 0), (channels, 1))
            result = (2 * height, 2 * width, channels)
        else:
            axes = ((height, row), (-(-width // 2), 2 * channels), (channels, 1))
            result = (height, -(-width // 2), channels)
        self.layer(Rearrange("rearranged", result, axes), shape)

    def add_constant(self) -> None:
        self.layer(AddConstant(None), self.vector())

    def layer_norm(self) -> None:
        self.layer(LayerNorm(None, None), self.image(1 + self.channels(64)))

    def attention(self) -> None:
        heads, depth = self.between(1, 4), self.generator.choice((4, 6, 8, 12, 16, 20))
        pixels = self.between(4, 36)
        self.layer(Attention(heads, depth**-0.5), (1, pixels, 3 * heads * depth))

    def ternary(self) -> None:
        channels = self.channels(64)
        shape = self.image(channels)
        window = Window(1, 1)
        if self.chance(0.5):
            window = self.window(*shape[:2], largest=3)
        height, width = window.output_size(*shape[:2])
        depth = window.height * window.width * channels
        most = min(64, 4 * _MOST_MACS // (depth * height * width), _MOST_VALUES // (height * width))
        attributes = Convolution(
            window,
            self.channels(max(1, most)),
            clamp=self.clamp(),
            ternary=True,
            shared_scale=self.chance(0.5),
        )
        if self.chance(0.4):
            self.sum(attributes, shape)
        else:
            self.layer(attributes, shape)

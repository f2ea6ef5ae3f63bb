"""Random small graphs: every operator, window, quantisation and clamp that the compiler takes."""

from dataclasses import replace
from math import inf

import numpy as np
from hypothesis import strategies as st

from automcu.compiler import Graph, Operator, Quantisation, Tensor
from automcu.compiler.operators import (
    Add,
    Attributes,
    AveragePool,
    Concatenate,
    Convolution,
    Lookup,
    MaxPool,
    Multiply,
    Pad,
    Rearrange,
    Rescale,
    Softmax,
)
from automcu.compiler.operators.clamp import NO_CLAMP, Clamp
from automcu.compiler.operators.windows import Window
from automcu.compiler.shapes import output_shape

_CLAMPS: tuple[Clamp, ...] = (NO_CLAMP, (0.0, inf), (0.0, 6.0), (-1.0, 1.0), (100.0, inf))
_BIAS_LIMIT = 1 << 18
NARROW = (6, 4, 3, 2)  # bits of weights that are stored more tightly


def quantisations() -> st.SearchStrategy[Quantisation]:
    """Scales over six octaves and any zero point: no accumulator of a small layer overflows."""
    return st.builds(
        Quantisation,
        st.floats(-4, 2).map(lambda x: float(np.float32(2**x))),
        st.integers(-128, 127),
    )


def clamps() -> st.SearchStrategy[Clamp]:
    """No clamp, ReLU, ReLU6, a symmetric clamp, and one that leaves a single value."""
    return st.sampled_from(_CLAMPS)


@st.composite
def windows(
    draw: st.DrawFn, height: int, width: int, largest: int = 4, pooling: bool = False
) -> Window:
    """A window that fits a height x width image; a pool's padding is less than its kernel."""
    kernel, dilation, before, after = [], [], [], []
    for length in (height, width):
        size = draw(st.integers(1, largest))
        step = draw(st.sampled_from((1, 1, 2, 3)))
        most_padding = min(size - 1, length) if pooling else size
        first, last = (draw(st.integers(0, most_padding)) for _ in range(2))
        if length + first + last < step * (size - 1) + 1:
            size, step, first, last = 1, 1, 0, 0
        kernel.append(size)
        dilation.append(step)
        before.append(first)
        after.append(last)
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    return Window(
        kernel[0],
        kernel[1],
        stride,
        (before[0], before[1], after[0], after[1]),
        (dilation[0], dilation[1]),
    )


class _Growing:
    """A graph under construction, and the generator that its weights come from."""

    def __init__(self, draw: st.DrawFn, all_quantised: bool, channel_step: int) -> None:
        self.draw = draw
        self.all_quantised = all_quantised
        self.channel_step = channel_step
        self.weights = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        shape = (draw(st.integers(1, 7)), draw(st.integers(1, 7)), self.channels())
        image = Tensor("image", shape, draw(quantisations()))
        self.known = [image]
        self.unquantised: list[Tensor] = []
        self.operators: list[Operator] = []

    def graph(self) -> Graph:
        """The graph whose output is the newest tensor."""
        tensors = {tensor.name: tensor for tensor in (*self.known, *self.unquantised)}
        return Graph(tensors, tuple(self.operators), "image", self.operators[-1].output)

    def channels(self) -> int:
        """A number of channels."""
        return self.channel_step * self.draw(st.integers(1, 8))

    def source(self) -> Tensor:
        """Mostly the newest tensor, so that long chains arise, sometimes an older one."""
        if self.draw(st.integers(0, 3)):
            return self.known[-1]
        return self.draw(st.sampled_from(self.known))

    def add(
        self,
        attributes: Attributes,
        *inputs: Tensor,
        quantisation: Quantisation | None = None,
    ) -> Tensor:
        """Append the operator; its result is quantised at random unless it is said how."""
        shape = output_shape(attributes, *(tensor.shape for tensor in inputs))
        chosen = quantisation or self.draw(quantisations())
        result = self._append(attributes, inputs, Tensor("", shape, chosen))
        self.known.append(result)
        return result

    def add_with_clamp(self, attributes: Attributes, *inputs: Tensor) -> Tensor:
        """Append the operator, sometimes with a clamp of its own behind it, as importers do."""
        if self.draw(st.integers(0, 3)):
            return self.add(attributes, *inputs)
        if self.all_quantised:
            result = self.add(attributes, *inputs)
            return self.add(
                Rescale(self.draw(clamps())),
                result,
                quantisation=self.draw(st.sampled_from((None, result.quantisation))),
            )
        shape = output_shape(attributes, *(tensor.shape for tensor in inputs))
        result = self._append(attributes, inputs, Tensor("", shape, None))
        self.unquantised.append(result)
        return self.add(Rescale(self.draw(clamps())), result)

    def _append(self, attributes: Attributes, inputs: tuple[Tensor, ...], like: Tensor) -> Tensor:
        index = len(self.operators)
        result = replace(like, name=f"tensor{index}")
        names = tuple(tensor.name for tensor in inputs)
        self.operators.append(Operator(f"layer{index}", names, result.name, attributes))
        return result

    def same_shape_as(self, tensor: Tensor) -> Tensor:
        """Any tensor of this shape; the same one where there is no other."""
        return self.draw(st.sampled_from([t for t in self.known if t.shape == tensor.shape]))

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
            clamp=self.draw(clamps()),
        )
        kind = self.draw(st.integers(0, 7))
        if kind == 0:  # asymmetric weights
            offsets = self.weights.integers(-128, 129, channels, dtype=np.int32)
            attributes = replace(attributes, weight_offsets=offsets)
        elif kind == 1:
            bits = self.draw(st.sampled_from(NARROW))
            low = np.int8(-(1 << (8 - bits)))  # clears the bits that are not stored
            attributes = replace(attributes, weights=attributes.weights & low, weight_bits=bits)
        return self.add_with_clamp(attributes, source)


def _plain(growing: _Growing) -> None:
    source = growing.source()
    channels = growing.channels()
    growing.convolution(source, growing.draw(windows(*source.shape[:2])), channels, 1)


def _pointwise(growing: _Growing) -> None:
    growing.convolution(growing.source(), Window(1, 1), growing.channels(), 1)


def _connected(growing: _Growing) -> None:
    source = growing.source()
    channels = growing.channels()
    growing.convolution(source, Window(*source.shape[:2]), channels, 1)


def _grouped(growing: _Growing) -> None:
    source = growing.source()
    groups = growing.draw(st.sampled_from([n for n in range(1, 9) if source.shape[2] % n == 0]))
    channels = groups * growing.channel_step * growing.draw(st.integers(1, 3))
    growing.convolution(source, growing.draw(windows(*source.shape[:2])), channels, groups)


def _depthwise(growing: _Growing) -> None:
    source = growing.source()
    channels = source.shape[2] * growing.draw(st.sampled_from((1, 1, 2)))
    window = growing.draw(windows(*source.shape[:2]))
    growing.convolution(source, window, channels, source.shape[2])


def _residual(growing: _Growing) -> None:
    """A convolution that keeps the shape, added to its own input or to another tensor."""
    source = growing.source()
    size = growing.draw(st.sampled_from((1, 3)))
    channels = source.shape[2]
    window = Window(size, size, padding=(size // 2,) * 4)
    groups = growing.draw(st.sampled_from((1, channels)))
    branch = growing.convolution(source, window, channels, groups)
    terms = [branch, growing.same_shape_as(branch)]
    growing.add_with_clamp(Add(growing.draw(clamps())), *growing.draw(st.permutations(terms)))


def _addition(growing: _Growing) -> None:
    first = growing.source()
    sign = growing.draw(st.sampled_from((1, 1, -1)))
    growing.add_with_clamp(Add(growing.draw(clamps()), sign), first, growing.same_shape_as(first))


def _product(growing: _Growing) -> None:
    """By a tensor of its shape, or by one pixel, as in squeeze and excite."""
    first = growing.source()
    second = growing.same_shape_as(first)
    if growing.draw(st.booleans()):
        second = growing.add(AveragePool(Window(*first.shape[:2])), first)
    growing.add(Multiply(growing.draw(clamps())), first, second)


def _average(growing: _Growing) -> None:
    source = growing.source()
    window = growing.draw(windows(*source.shape[:2], pooling=True))
    counts = growing.draw(st.booleans())
    growing.add_with_clamp(AveragePool(window, counts, growing.draw(clamps())), source)


def _maximum(growing: _Growing) -> None:
    source = growing.source()
    window = growing.draw(windows(*source.shape[:2], pooling=True))
    growing.add(MaxPool(window), source, quantisation=source.quantisation)


def _rescale(growing: _Growing) -> None:
    growing.add(Rescale(growing.draw(clamps())), growing.source())


def _lookup(growing: _Growing) -> None:
    table = growing.weights.integers(-128, 128, 256, dtype=np.int8)
    growing.add(Lookup("sigmoid", table), growing.source())


def _softmax(growing: _Growing) -> None:
    growing.add(Softmax(), growing.source(), quantisation=Quantisation(1 / 256, -128))


def _concatenation(growing: _Growing) -> None:
    """Of tensors brought to one scale, along an axis in which they may differ."""
    first = growing.source()
    axis = growing.draw(st.integers(0, 2))
    fitting = [
        tensor
        for tensor in growing.known
        if all(tensor.shape[i] == first.shape[i] for i in range(3) if i != axis)
    ]
    second = growing.draw(st.sampled_from(fitting))
    if second.quantisation != first.quantisation:
        second = growing.add(Rescale(), second, quantisation=first.quantisation)
    growing.add(Concatenate(axis), first, second, quantisation=first.quantisation)


def _pad(growing: _Growing) -> None:
    source = growing.source()
    before, after = (
        (growing.draw(st.integers(0, 2)), growing.draw(st.integers(0, 2)), 0) for _ in range(2)
    )
    growing.add(Pad(before, after), source, quantisation=source.quantisation)


def _transpose(growing: _Growing) -> None:
    source = growing.source()
    height, width, channels = source.shape
    axes = ((width, channels), (height, width * channels), (channels, 1))
    rearrange = Rearrange("transpose", (width, height, channels), axes)
    growing.add(rearrange, source, quantisation=source.quantisation)


_STEPS = (
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
)


@st.composite
def graphs(
    draw: st.DrawFn, most_steps: int = 8, all_quantised: bool = False, channel_step: int = 1
) -> Graph:
    """A graph with weights that compiles; some of its operators may not reach the output.

    What only a clamp reads has no quantisation, as in most files, unless `all_quantised`.
    Channels are multiples of `channel_step` but for where a transpose makes them of something else.
    """
    growing = _Growing(draw, all_quantised, channel_step)
    for step in draw(st.lists(st.sampled_from(_STEPS), min_size=1, max_size=most_steps)):
        step(growing)
    return growing.graph()


def _residual_block(growing: _Growing) -> None:
    """Two convolutions that keep the shape, added to what went into the first."""
    source = growing.source()
    same = Window(3, 3, padding=(1, 1, 1, 1))
    inside = growing.convolution(source, same, growing.channels(), 1)
    branch = growing.convolution(inside, same, source.shape[2], 1)
    growing.add(Add(growing.draw(clamps())), branch, source)


_CHAIN_STEPS = (_plain, _pointwise, _depthwise, _maximum, _rescale, _lookup, _residual_block)


@st.composite
def tall_chains(draw: st.DrawFn) -> Graph:
    """Layers with windows, one after the other, on an image of many rows that are whole words."""
    growing = _Growing(draw, all_quantised=True, channel_step=4)
    image = replace(growing.known[0], shape=(draw(st.integers(8, 20)), draw(st.integers(1, 6)), 4))
    growing.known = [image]
    tensors = [image]
    for step in draw(st.lists(st.sampled_from(_CHAIN_STEPS), min_size=2, max_size=5)):
        step(growing)
        tensors += growing.known[1:]
        growing.known = growing.known[-1:]
    growing.known = tensors
    return growing.graph()

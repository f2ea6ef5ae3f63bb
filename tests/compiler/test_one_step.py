"""At most one step a layer: every operator against its real definition, whatever its scales.

Scales are drawn over many decades, each channel's and each constant's on its own. The law is
|integers - real definition, clamped| <= 1, in steps of the result's scale. The C of a core with
the DSP extension and portable C then compute the same bytes as the reference.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from math import inf

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from automcu.compiler import Graph, Quantisation, compile_graph
from automcu.compiler.ops import (
    Add,
    AddConstant,
    Attention,
    AveragePool,
    Convolution,
    LayerNorm,
    Lookup,
    Multiply,
    Rescale,
    Softmax,
)
from automcu.compiler.ops.pointwise import table_of
from automcu.compiler.tensor import NO_CLAMP, Clamp, Shape, Window, taps
from automcu.mcu import Device, find_device
from tests.compiler.isa.test_special_kernels import first_wrong_layer
from tests.compiler.ops.one_operator import (
    assert_c_equals_reference,
    furthest,
    one_operator,
    operands_and_result,
)

Reals = NDArray[np.float64]
_numbers = count()
LARGEST_INT32 = (1 << 31) - 1
CLAMPS: tuple[Clamp, ...] = (NO_CLAMP, NO_CLAMP, (0.0, inf), (-1.0, 1.0))


@dataclass(frozen=True)
class Layer:
    """A graph of one operator, and what its result is in real numbers, from its real operands."""

    graph: Graph
    definition: Callable[..., Reals]

    def distance(self) -> float:
        """Steps between the integers of the reference and the definition, at the furthest."""
        operands, result = operands_and_result(self.graph)
        quantisation = self.graph.tensors["result"].quantisation
        assert quantisation is not None
        return furthest(result, self.definition(*operands), quantisation)


def powers(lowest: float, highest: float) -> st.SearchStrategy[float]:
    """Numbers spread evenly over a logarithmic scale, as float32 holds them."""
    return st.floats(lowest, highest).map(lambda x: float(np.float32(2.0**x)))


def quantisations(lowest: float = -12, highest: float = 8) -> st.SearchStrategy[Quantisation]:
    """Six decades of scales and any zero point."""
    return st.builds(Quantisation, powers(lowest, highest), st.integers(-128, 127))


def generators() -> st.SearchStrategy[np.random.Generator]:
    """Where weights and constants come from."""
    return st.integers(0, 2**32 - 1).map(np.random.default_rng)


def images(channels: st.SearchStrategy[int] | None = None) -> st.SearchStrategy[Shape]:
    """Small ones; channels in fours are what most kernels of the DSP extension ask for."""
    size = st.integers(1, 5)
    return st.tuples(size, size, st.sampled_from((1, 3, 4, 8)) if channels is None else channels)


@st.composite
def convolutions(draw: st.DrawFn) -> Layer:
    """Ratios over twelve decades within one layer; channels without weights, biases of any size."""
    random = draw(generators())
    shape, source, result = draw(images()), draw(quantisations()), draw(quantisations())
    kind = draw(st.sampled_from(("plain", "plain", "depthwise", "asymmetric", "ternary", "shared")))
    size = draw(st.sampled_from((1, 3)))
    window = Window(size, size, padding=(size // 2,) * 4)
    groups = shape[2] if kind == "depthwise" else 1
    channels = shape[2] if kind == "depthwise" else draw(st.sampled_from((2, 4, 6)))
    ternary = kind in ("ternary", "shared")
    largest = 1 if ternary else draw(st.sampled_from((1, 5, 127)))
    weights_shape = (channels, size, size, shape[2] // groups)
    weights = random.integers(-largest, largest + 1, weights_shape, dtype=np.int8)
    weights[random.random(channels) < 0.1] = 0
    spread = 0 if kind == "shared" else draw(st.sampled_from((0, 3, 20)))
    octaves = draw(st.floats(-20, 6)) + random.uniform(-spread, spread, channels)
    ratios = 2.0**octaves  # of a step of the accumulator to one of the result
    wanted = random.uniform(-200, 200, channels) / ratios
    bias = np.clip(np.rint(wanted), -LARGEST_INT32, LARGEST_INT32).astype(np.int32)
    attributes = Convolution(
        window,
        channels,
        groups,
        weights,
        ratios * (result.scale / source.scale),
        bias,
        draw(st.sampled_from(CLAMPS)),
        ternary=ternary,
        shared_scale=kind == "shared",
    )
    if kind == "asymmetric":
        offsets = random.integers(-128, 129, channels, dtype=np.int32)
        bias = np.clip(bias, -(1 << 30), 1 << 30).astype(np.int32)
        attributes = replace(attributes, weight_offsets=offsets, bias=bias)
    graph = one_operator(attributes, ((shape, source),), result)
    return Layer(graph, lambda values: convolved(attributes, values, source.scale))


def convolved(attributes: Convolution, values: Reals, input_scale: float) -> Reals:
    """The sum of products; a bias is in steps of the input's scale times its channel's."""
    assert attributes.weights is not None and attributes.weight_scales is not None
    assert attributes.bias is not None
    offsets = 0 if attributes.weight_offsets is None else attributes.weight_offsets
    weights = attributes.weights.astype(np.float64) + np.reshape(offsets, (-1, 1, 1, 1))
    total: Reals = np.zeros(1)
    for index, tap in enumerate(taps(np.asarray(values), attributes.window, 0)):
        kernel = weights[:, index // attributes.window.width, index % attributes.window.width]
        product = tap * kernel[:, 0] if attributes.groups > 1 else tap @ kernel.T
        total = total + product
    result = (total + attributes.bias * input_scale) * attributes.weight_scales
    return np.asarray(np.clip(result, *attributes.clamp))


@st.composite
def sums(draw: st.DrawFn) -> Layer:
    """Operands whose scales are up to six decades apart, and from the result's."""
    shape, clamp = draw(images()), draw(st.sampled_from(CLAMPS))
    first, second, result = (draw(quantisations(-10, 10)) for _ in range(3))
    sign = draw(st.sampled_from((1, -1)))
    graph = one_operator(Add(clamp, sign), ((shape, first), (shape, second)), result)
    return Layer(graph, lambda a, b: np.clip(a + sign * b, *clamp))


@st.composite
def sums_with_constants(draw: st.DrawFn) -> Layer:
    """Constants of the input's size, or of any, and one that is far larger than the others."""
    random, shape = draw(generators()), draw(images())
    source, result = draw(quantisations(-6, 6)), draw(quantisations(-6, 6))
    values = random.normal(0, 60 * draw(st.sampled_from((source.scale, result.scale))), shape)
    values.reshape(-1)[0] *= draw(st.sampled_from((1, 100, 1e6)))
    graph = one_operator(AddConstant(values), ((shape, source),), result)
    return Layer(graph, lambda x: x + values)


@st.composite
def products(draw: st.DrawFn) -> Layer:
    shape, clamp = draw(images()), draw(st.sampled_from(CLAMPS))
    first, second, result = (draw(quantisations()) for _ in range(3))
    graph = one_operator(Multiply(clamp), ((shape, first), (shape, second)), result)
    return Layer(graph, lambda a, b: np.clip(a * b, *clamp))


@st.composite
def averages(draw: st.DrawFn) -> Layer:
    """Windows inside the image and over its border, on one scale or between two."""
    shape, clamp = draw(images()), draw(st.sampled_from(CLAMPS))
    source = draw(quantisations())
    result = draw(st.one_of(st.just(source), quantisations()))
    size = draw(st.integers(1, min(shape[:2])))
    window = Window(size, size, padding=(draw(st.integers(0, (size - 1) // 2)),) * 4)
    counts = draw(st.booleans())
    attributes = AveragePool(window, counts, clamp, draw(st.booleans()))
    graph = one_operator(attributes, ((shape, source),), result)

    def definition(values: Reals) -> Reals:
        total: Reals = sum(taps(values, window, 0))  # type: ignore[assignment, type-var]
        inside: Reals = sum(taps(np.ones_like(values), window, 0))  # type: ignore[assignment, type-var]
        return np.clip(total / (size * size if counts else inside), *clamp)

    return Layer(graph, definition)


@st.composite
def rescalings(draw: st.DrawFn) -> Layer:
    shape, clamp = draw(images()), draw(st.sampled_from(CLAMPS))
    source, result = draw(quantisations(-20, 20)), draw(quantisations(-20, 20))
    graph = one_operator(Rescale(clamp), ((shape, source),), result)
    return Layer(graph, lambda x: np.clip(x, *clamp))


@st.composite
def tables(draw: st.DrawFn) -> Layer:
    shape, source, result = draw(images()), draw(quantisations()), draw(quantisations())
    attributes = Lookup("tanh", table_of(np.tanh, source, result))
    return Layer(one_operator(attributes, ((shape, source),), result), np.tanh)


@st.composite
def softmaxes(draw: st.DrawFn) -> Layer:
    """Results in steps of up to 2^-20, which is a thousandth of an even share."""
    shape = draw(images(st.integers(1, 40)))
    source, result = draw(quantisations(-10, 4)), draw(quantisations(-20, -6))
    beta = draw(st.sampled_from((1.0, 0.5)))
    graph = one_operator(Softmax(beta), ((shape, source),), result)

    def definition(values: Reals) -> Reals:
        scores = np.exp(beta * (values - values.max(axis=-1, keepdims=True)))
        return np.asarray(scores / scores.sum(axis=-1, keepdims=True))

    return Layer(graph, definition)


@st.composite
def layer_norms(draw: st.DrawFn) -> Layer:
    """Gains of one size and one far larger; variances down to where epsilon decides."""
    random = draw(generators())
    shape = draw(images(st.sampled_from((1, 2, 3, 8, 64))))
    source, result = draw(quantisations()), draw(quantisations(-8, 0))
    gains = random.normal(1, 0.5, shape[2]) * 2.0 ** random.uniform(-6, 1, shape[2])
    gains[0] *= draw(st.sampled_from((1, 50)))
    offsets = random.normal(0, 40 * result.scale, shape[2])
    epsilon = draw(st.sampled_from((1e-3, 1e-5, 1e-12)))
    graph = one_operator(LayerNorm(gains, offsets, epsilon), ((shape, source),), result)

    def definition(values: Reals) -> Reals:
        centred = values - values.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True) + epsilon
        return np.asarray(centred / np.sqrt(variance) * gains + offsets)

    return Layer(graph, definition)


@st.composite
def attentions(draw: st.DrawFn) -> Layer:
    """Scores from all alike to one key that takes all; means on a scale of their own."""
    heads, depth = draw(st.integers(1, 2)), draw(st.sampled_from((2, 4, 8)))
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 4)), 3 * heads * depth)
    source = draw(quantisations(-10, -3))
    result = Quantisation(source.scale * draw(powers(-1, 3)), draw(st.integers(-128, 127)))
    scale = depth**-0.5
    graph = one_operator(Attention(heads, scale), ((shape, source),), result)

    def definition(values: Reals) -> Reals:
        parts = values.reshape(len(values), shape[0] * shape[1], 3, heads, depth)
        query, key, value = (parts[:, :, i].transpose(0, 2, 1, 3) for i in range(3))
        scores = query @ key.transpose(0, 1, 3, 2) * scale
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        means = weights / weights.sum(axis=-1, keepdims=True) @ value
        return np.asarray(means.transpose(0, 2, 1, 3).reshape(len(values), *shape[:2], -1))

    return Layer(graph, definition)


LAYERS = {
    "convolution": convolutions(),
    "sum": sums(),
    "sum with constants": sums_with_constants(),
    "product": products(),
    "average": averages(),
    "rescaling": rescalings(),
    "table": tables(),
    "softmax": softmaxes(),
    "layer norm": layer_norms(),
    "attention": attentions(),
}


@pytest.mark.parametrize("kind", LAYERS)
@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_layer_is_within_one_step_of_its_real_definition(kind: str, data: st.DataObject) -> None:
    assert data.draw(LAYERS[kind]).distance() <= 1


@pytest.mark.parametrize("kind", LAYERS)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_portable_c_computes_the_same_bytes_at_such_scales(
    kind: str,
    data: st.DataObject,
    portable_device: Device,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.getbasetemp()
    assert_c_equals_reference(data.draw(LAYERS[kind]).graph, portable_device, folder)


@pytest.mark.parametrize("board", ["stm32f407g-disc1", "stm32f746g-disco"])
@pytest.mark.parametrize("kind", ["convolution", "sum", "average", "rescaling", "attention"])
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_kernels_of_the_dsp_extension_compute_the_same_bytes_at_such_scales(
    kind: str, board: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    device = find_device(board)
    program = compile_graph(data.draw(LAYERS[kind]).graph, device)
    folder = tmp_path_factory.getbasetemp() / f"dsp{next(_numbers)}"
    assert first_wrong_layer(program, device, folder) is None


@pytest.mark.parametrize("ratio", [2.0**14, 2.0**20, 2.0**40])
@pytest.mark.parametrize("attributes", [Rescale(), AveragePool(Window(2, 2))])
def test_a_step_far_beyond_the_result_saturates_in_kernels_of_the_dsp_extension(
    attributes: Rescale | AveragePool, ratio: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Left shifts of 15 and more have no power of two in the half of a word."""
    graph = one_operator(attributes, (((4, 4, 4), Quantisation(ratio, 1)),), Quantisation(1.0, 0))
    device = find_device("stm32f407g-disc1")
    folder = tmp_path_factory.getbasetemp() / f"dsp{next(_numbers)}"
    program = compile_graph(graph, device)
    assert program.kernels["tested"].variant == "armv7e-m"
    assert first_wrong_layer(program, device, folder) is None

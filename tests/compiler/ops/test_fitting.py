"""Channels whose scale is out of proportion: what they compute stays, and others do not notice."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from automcu.compiler import Graph, Operator, Quantisation, Tensor, run_reference
from automcu.compiler.ops import Convolution
from automcu.compiler.ops.convolution import fit_channels
from automcu.compiler.tensor import Window
from tests.compiler.plain_arithmetic import run_plainly

INPUTS = 6
OUTPUTS = 4
MOST_BIAS = (1 << 31) - 1


@st.composite
def lopsided_layers(draw: st.DrawFn) -> Convolution:
    """Weight scales over twelve decades with the biases that real results would ask for.

    Input and output have the scale 1/16, so a result in range needs |bias x scale| below 256.
    """
    noise = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = noise.integers(-128, 128, (OUTPUTS, 1, 1, INPUTS), dtype=np.int8)
    scales, bias = np.ones(OUTPUTS), np.zeros(OUTPUTS, np.int32)
    for channel in range(OUTPUTS):
        kind = draw(st.sampled_from(("usual", "vanishing", "nothing")))
        if kind == "usual":
            scales[channel] = draw(st.floats(-10, -2).map(lambda x: 2.0**x))
        elif kind == "vanishing":
            scales[channel] = draw(st.floats(-45, -22).map(lambda x: 2.0**x))
        else:
            weights[channel] = 0
            scales[channel] = draw(st.sampled_from((1.0, 2.0**-20, 100.0)))
        wanted = draw(st.floats(-150, 150)) / scales[channel]
        bias[channel] = round(min(max(wanted, -MOST_BIAS), MOST_BIAS))
    return Convolution(Window(1, 1), OUTPUTS, 1, weights, scales, bias)


def graph_of(attributes: Convolution, zero_point: int) -> Graph:
    tensors = {
        "image": Tensor("image", (1, 3, INPUTS), Quantisation(1 / 16, zero_point)),
        "result": Tensor("result", (1, 3, OUTPUTS), Quantisation(1 / 16, 0)),
    }
    return Graph(tensors, (Operator("layer", ("image",), "result", attributes),), "image", "result")


@given(attributes=lopsided_layers(), zero_point=st.integers(-128, 127))
def test_every_channel_is_within_one_step_of_its_real_result(
    attributes: Convolution, zero_point: int
) -> None:
    image = np.random.default_rng(0).integers(-128, 128, (1, 3, INPUTS), dtype=np.int8)
    results = run_reference(graph_of(attributes, zero_point), image[None]).reshape(3, OUTPUTS)
    assert attributes.weights is not None
    assert attributes.bias is not None
    assert attributes.weight_scales is not None
    for pixel, channel in np.ndindex(results.shape):
        weights = attributes.weights[channel, 0, 0].tolist()
        steps = [int(x) - zero_point for x in image[0, pixel]]
        total = sum(w * x for w, x in zip(weights, steps, strict=True))
        exact = (total + int(attributes.bias[channel])) * Fraction(
            attributes.weight_scales[channel]
        )
        exact = min(max(exact, Fraction(-128)), Fraction(127))
        assert abs(int(results[pixel, channel]) - exact) <= 1


@given(attributes=lopsided_layers(), zero_point=st.integers(-128, 127))
def test_lopsided_layers_follow_the_page_too(attributes: Convolution, zero_point: int) -> None:
    graph = graph_of(attributes, zero_point)
    image = np.random.default_rng(0).integers(-128, 128, (1, 3, INPUTS), dtype=np.int8)
    expected = run_reference(graph, image[None])
    assert np.array_equal(run_plainly(graph, image)["result"].reshape(1, -1), expected)


def test_usual_channels_are_left_as_they_are() -> None:
    weights = np.arange(-8, 8, dtype=np.int8).reshape(2, 1, 1, 8)
    bias, ratios = np.array([1000, -1000]), np.array([0.01, 0.02])
    fitted = fit_channels(weights, bias, ratios)
    for before, after in zip((weights, bias, ratios), fitted, strict=True):
        assert np.array_equal(before, after)

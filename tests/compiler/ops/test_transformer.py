"""Layer norm, attention and added constants: C against the reference, both against real numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automcu.compiler import Quantisation, compile_graph, run_reference
from automcu.compiler.ops import AddConstant, Attention, LayerNorm
from automcu.compiler.tensor import Shape
from automcu.errors import UnsupportedModelError
from automcu.mcu import Device
from tests.compiler.ops.one_operator import (
    assert_c_equals_reference,
    furthest,
    one_operator,
    operands_and_result,
    quantisations,
    shapes,
)

RESULT = Quantisation(1 / 24, 5)
MEANS = Quantisation(1 / 16, -3)


@st.composite
def layer_norms(draw: st.DrawFn) -> tuple[Shape, LayerNorm]:
    shape = draw(shapes())
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    gains = generator.normal(1, 0.5, shape[2])
    if draw(st.booleans()):
        gains = generator.integers(-1, 2, shape[2]) * 0.7
    epsilon = draw(st.sampled_from((1e-5, 1e-3, 1e-12)))
    return shape, LayerNorm(gains, generator.normal(0, 1, shape[2]), epsilon)


@st.composite
def attentions(draw: st.DrawFn) -> tuple[Shape, Attention]:
    heads, depth = draw(st.integers(1, 3)), draw(st.integers(1, 5))
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 4)), 3 * heads * depth)
    return shape, Attention(heads, draw(st.sampled_from((0.02, 0.125, 0.3))))


@settings(max_examples=30, deadline=None)
@given(layer_norms(), quantisations())
def test_a_compiled_layer_norm_equals_the_reference(
    portable_device: Device,
    tmp_path_factory: pytest.TempPathFactory,
    case: tuple[Shape, LayerNorm],
    source: Quantisation,
) -> None:
    graph = one_operator(case[1], ((case[0], source),), RESULT)
    assert_c_equals_reference(graph, portable_device, tmp_path_factory.getbasetemp())


@given(layer_norms(), quantisations())
def test_a_layer_norm_is_within_a_step_of_real_arithmetic(
    case: tuple[Shape, LayerNorm], source: Quantisation
) -> None:
    shape, attributes = case
    (values,), result = operands_and_result(one_operator(attributes, ((shape, source),), RESULT))
    assert attributes.gains is not None and attributes.offsets is not None
    centred = values - values.mean(axis=-1, keepdims=True)
    variance = centred.var(axis=-1, keepdims=True) + attributes.epsilon
    exact = centred / np.sqrt(variance) * attributes.gains + attributes.offsets
    assert furthest(result, exact, RESULT) <= 0.8


def test_channels_that_are_all_alike_become_the_offsets() -> None:
    attributes = LayerNorm(np.ones(4), np.array([0.0, 0.5, -0.5, 1.0]))
    graph = one_operator(attributes, (((1, 1, 4), Quantisation(0.1, 3)),), RESULT)
    result = run_reference(graph, np.full((1, 1, 1, 4), 77, np.int8))
    assert result.tolist() == [[5, 17, -7, 29]]


@settings(max_examples=30, deadline=None)
@given(attentions(), quantisations())
def test_compiled_attention_equals_the_reference(
    portable_device: Device,
    tmp_path_factory: pytest.TempPathFactory,
    case: tuple[Shape, Attention],
    source: Quantisation,
) -> None:
    source = Quantisation(min(source.scale, 0.1), source.zero_point)
    graph = one_operator(case[1], ((case[0], source),), MEANS)
    assert_c_equals_reference(graph, portable_device, tmp_path_factory.getbasetemp())


@given(attentions(), st.integers(-128, 127), st.sampled_from((0.01, 0.03, 0.08)))
def test_attention_is_near_real_arithmetic(
    case: tuple[Shape, Attention], zero_point: int, scale: float
) -> None:
    shape, attributes = case
    graph = one_operator(attributes, ((shape, Quantisation(scale, zero_point)),), MEANS)
    (values,), result = operands_and_result(graph)
    count, pixels = len(values), shape[0] * shape[1]
    parts = values.reshape(count, pixels, 3, attributes.heads, -1)
    query, key, value = (parts[:, :, i].transpose(0, 2, 1, 3) for i in range(3))
    scores = np.exp((query @ key.transpose(0, 1, 3, 2)) * attributes.scale)
    weights = scores / scores.sum(axis=-1, keepdims=True)
    exact = (weights @ value).transpose(0, 2, 1, 3).reshape(result.shape)
    # An exponent is off by 1/64 at most, and with it a weight by 1.6 %.
    spread = (values.max() - values.min()) / MEANS.scale
    assert furthest(result, exact, MEANS) <= 0.8 + 0.016 * spread


def test_scratch_of_attention_grows_with_tokens_and_not_with_their_square(
    portable_device: Device,
) -> None:
    def scratch(tokens: int) -> int:
        graph = one_operator(Attention(2, 0.2), (((1, tokens, 48), Quantisation(0.05, 0)),), MEANS)
        return compile_graph(graph, portable_device).kernels["tested"].scratch_bytes

    assert scratch(300) - scratch(200) == scratch(200) - scratch(100) == 400


def test_attention_over_too_many_tokens_is_refused(portable_device: Device) -> None:
    with pytest.raises(UnsupportedModelError, match="larger patches"):
        one_operator(Attention(1, 0.2), (((1, 513, 6), Quantisation(0.05, 0)),), MEANS)


@settings(max_examples=20, deadline=None)
@given(shapes(), st.integers(0, 2**32 - 1), quantisations())
def test_added_constants_equal_the_reference_and_are_within_a_step(
    portable_device: Device,
    tmp_path_factory: pytest.TempPathFactory,
    shape: Shape,
    seed: int,
    source: Quantisation,
) -> None:
    attributes = AddConstant(np.random.default_rng(seed).normal(0, 1, shape))
    graph = one_operator(attributes, ((shape, source),), RESULT)
    assert_c_equals_reference(graph, portable_device, tmp_path_factory.getbasetemp())
    assert attributes.values is not None
    (values,), result = operands_and_result(graph)
    assert furthest(result, values + attributes.values, RESULT) <= 1

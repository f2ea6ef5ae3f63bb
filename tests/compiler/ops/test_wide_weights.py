"""Weights of nine bits: int8 plus an offset per channel, as asymmetric uint8 weights need."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automcu.compiler import Quantisation
from automcu.compiler.compile import choose_kernel
from automcu.compiler.ops import Convolution
from automcu.compiler.tensor import Shape, Window
from automcu.mcu import Device, find_device
from tests.compiler.ops.one_operator import (
    assert_c_equals_reference,
    furthest,
    one_operator,
    operands_and_result,
    quantisations,
)

RESULT = Quantisation(1.0, 5)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Shape, Convolution]:
    groups, per_group = draw(st.sampled_from([(1, 1), (1, 3), (2, 2), (4, 1)]))
    shape = (draw(st.integers(2, 5)), draw(st.integers(2, 5)), groups * per_group)
    size = draw(st.integers(1, 2))
    out_channels = groups * draw(st.integers(1, 4))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return shape, Convolution(
        window=Window(size, size, padding=(0, 0, size - 1, 0)),
        out_channels=out_channels,
        groups=groups,
        weights=generator.integers(-128, 128, (out_channels, size, size, per_group), np.int8),
        weight_scales=2 ** generator.uniform(-10, -4, out_channels),
        bias=generator.integers(-1000, 1000, out_channels, dtype=np.int32),
        weight_offsets=generator.integers(-128, 129, out_channels, dtype=np.int32),
    )


@given(st.integers(-128, 127), st.integers(-128, 128), st.integers(-128, 127))
def test_an_offset_belongs_to_the_weight(weight: int, offset: int, zero_point: int) -> None:
    source = Quantisation(0.25, zero_point)
    attributes = Convolution(
        Window(1, 1),
        1,
        weights=np.full((1, 1, 1, 1), weight, np.int8),
        weight_scales=np.array([0.01]),
        bias=np.zeros(1, np.int32),
        weight_offsets=np.array([offset], np.int32),
    )
    (values,), result = operands_and_result(
        one_operator(attributes, (((4, 4, 1), source),), RESULT)
    )
    assert furthest(result, values * (weight + offset) * 0.01, RESULT) <= 0.501


@settings(max_examples=25, deadline=None)
@given(convolutions(), quantisations())
def test_compiled_wide_weights_equal_the_reference(
    portable_device: Device,
    tmp_path_factory: pytest.TempPathFactory,
    case: tuple[Shape, Convolution],
    source: Quantisation,
) -> None:
    shape, attributes = case
    graph = one_operator(attributes, ((shape, source),), RESULT)
    assert_c_equals_reference(graph, portable_device, tmp_path_factory.getbasetemp())


@given(convolutions(), quantisations())
def test_kernels_that_know_no_offsets_are_not_chosen(
    case: tuple[Shape, Convolution], source: Quantisation
) -> None:
    shape, attributes = case
    graph = one_operator(attributes, ((shape, source),), RESULT)
    kernel = choose_kernel(graph.operators[-1], graph, find_device("stm32f407g-disc1"))
    assert kernel.settings["offsets"] and kernel.variant == "portable"

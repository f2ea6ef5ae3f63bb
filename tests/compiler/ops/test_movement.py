"""Operators that only move bytes: concatenate, pad, rearrange."""

from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automcu.compiler import Quantisation, run_all_tensors
from automcu.compiler.ops import Concatenate, Pad, Rearrange
from automcu.compiler.tensor import Shape
from automcu.mcu import Device
from tests.compiler.ops.one_operator import (
    assert_c_equals_reference,
    one_operator,
    quantisations,
    random_inputs,
    shapes,
)

ANY = Quantisation(0.5, 3)


@st.composite
def joinable(draw: st.DrawFn) -> tuple[int, tuple[Shape, ...]]:
    axis, first = draw(st.integers(0, 2)), list(draw(shapes(5)))
    parts = []
    for size in draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)):
        first[axis] = size
        parts.append((first[0], first[1], first[2]))
    return axis, tuple(parts)


@st.composite
def rearrangements(draw: st.DrawFn) -> tuple[Shape, Rearrange]:
    """Reads inside a vector, with strides of any sign."""
    axes = draw(st.lists(st.tuples(st.integers(1, 4), st.integers(-6, 6)), min_size=0, max_size=5))
    if draw(st.booleans()):
        axes.append((draw(st.integers(2, 6)), 1))
    offset = -sum(min(0, (n - 1) * stride) for n, stride in axes) + draw(st.integers(0, 3))
    reach = offset + sum(max(0, (n - 1) * stride) for n, stride in axes)
    shape = (1, 1, prod(n for n, _ in axes))
    return (1, 1, reach + 1), Rearrange("slice", shape, tuple(axes), offset)


@settings(max_examples=40, deadline=None)
@given(joinable())
def test_compiled_concatenations_equal_the_reference(
    portable_device: Device,
    tmp_path_factory: pytest.TempPathFactory,
    case: tuple[int, tuple[Shape, ...]],
) -> None:
    axis, parts = case
    graph = one_operator(Concatenate(axis), tuple((part, ANY) for part in parts), ANY)
    assert_c_equals_reference(graph, portable_device, tmp_path_factory.getbasetemp())


def test_tensors_of_different_width_are_not_joined_along_channels() -> None:
    with pytest.raises(ValueError, match="cannot be joined"):
        Concatenate(2).output_shape((4, 4, 8), (4, 5, 8))


@settings(max_examples=40, deadline=None)
@given(shapes(5), shapes(3), shapes(3), quantisations(), st.floats(-50, 50))
def test_compiled_pads_equal_the_reference(
    portable_device: Device,
    tmp_path_factory: pytest.TempPathFactory,
    shape: Shape,
    before: Shape,
    after: Shape,
    quantisation: Quantisation,
    value: float,
) -> None:
    border = tuple(size - 1 for size in before), tuple(size - 1 for size in after)
    graph = one_operator(Pad(*border, value), ((shape, quantisation),), quantisation)
    assert_c_equals_reference(graph, portable_device, tmp_path_factory.getbasetemp())


def test_the_border_of_a_pad_is_the_zero_point() -> None:
    graph = one_operator(Pad((1, 1, 0), (1, 1, 0)), (((1, 1, 1), ANY),), ANY)
    result = run_all_tensors(graph, random_inputs(graph, 1))["result"].reshape(-1)
    assert np.all(np.delete(result, 4) == ANY.zero_point)


@settings(max_examples=60, deadline=None)
@given(rearrangements())
def test_compiled_rearrangements_equal_the_reference(
    portable_device: Device,
    tmp_path_factory: pytest.TempPathFactory,
    case: tuple[Shape, Rearrange],
) -> None:
    shape, attributes = case
    graph = one_operator(attributes, ((shape, ANY),), ANY)
    assert_c_equals_reference(graph, portable_device, tmp_path_factory.getbasetemp())


@given(st.permutations(range(3)), shapes())
def test_a_transpose_is_read_with_strides(order: list[int], shape: Shape) -> None:
    strides = (shape[1] * shape[2], shape[2], 1)
    axes = tuple((shape[axis], strides[axis]) for axis in order)
    result = tuple(shape[axis] for axis in order)
    graph = one_operator(Rearrange("transpose", result, axes), ((shape, ANY),), ANY)
    values = run_all_tensors(graph, random_inputs(graph))
    expected = values["operand0"].transpose(0, *(1 + axis for axis in order))
    assert np.array_equal(values["result"], expected)


def test_reads_outside_the_input_are_refused() -> None:
    with pytest.raises(ValueError, match="reads from"):
        Rearrange("slice", (1, 1, 4), ((4, 2),), 0).output_shape((1, 1, 6))

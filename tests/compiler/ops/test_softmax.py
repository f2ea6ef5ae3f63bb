"""Softmax in integers, held against the real function."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automcu.compiler import Quantisation
from automcu.compiler.ops import Softmax
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

USUAL = Quantisation(1 / 256, -128)  # what every quantiser gives the output of a softmax


def softmax(values: np.ndarray, beta: float) -> np.ndarray:
    exponentials = np.exp(beta * (values - values.max(axis=-1, keepdims=True)))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


@given(
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 1000)),
    quantisations(),
    st.sampled_from((1.0, 0.5)),
)
def test_a_softmax_is_within_one_step_of_the_real_one(
    shape: Shape, source: Quantisation, beta: float
) -> None:
    graph = one_operator(Softmax(beta), ((shape, source),), USUAL)
    (values,), result = operands_and_result(graph)
    nearest = np.rint(softmax(values, beta) / USUAL.scale + USUAL.zero_point)
    assert np.abs(np.clip(nearest, -128, 127) - result).max() <= 1
    assert furthest(result, softmax(values, beta), USUAL) <= 0.6


@settings(max_examples=30, deadline=None)
@given(shapes(12), quantisations(), quantisations())
def test_compiled_softmax_equals_the_reference(
    portable_device: Device,
    tmp_path_factory: pytest.TempPathFactory,
    shape: Shape,
    source: Quantisation,
    result: Quantisation,
) -> None:
    graph = one_operator(Softmax(), ((shape, source),), result)
    assert_c_equals_reference(graph, portable_device, tmp_path_factory.getbasetemp())


def test_more_classes_than_integers_can_sum_are_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="Remove it"):
        Softmax().output_shape((1, 1, 5000))

"""Tables of functions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automcu.compiler import Quantisation
from automcu.compiler.ops import Lookup
from automcu.compiler.ops.pointwise import table_of
from automcu.compiler.tensor import Shape
from automcu.mcu import Device
from tests.compiler.ops.one_operator import (
    assert_c_equals_reference,
    furthest,
    one_operator,
    operands_and_result,
    quantisations,
    shapes,
)

FUNCTIONS = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "hard-swish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "reciprocal": lambda x: np.divide(1, x, out=np.full_like(x, np.inf), where=x != 0),
}


@given(st.sampled_from(list(FUNCTIONS)), shapes(), quantisations(), quantisations())
def test_a_table_holds_the_nearest_value_of_the_function(
    name: str, shape: Shape, source: Quantisation, result: Quantisation
) -> None:
    function = FUNCTIONS[name]
    lookup = Lookup(name, table_of(function, source, result))
    graph = one_operator(lookup, ((shape, source),), result)
    (values,), output = operands_and_result(graph)
    assert furthest(output, function(values), result) <= 0.5 + 1e-9


@settings(max_examples=10, deadline=None)
@given(shapes(), quantisations(), st.integers(0, 2**32 - 1))
def test_compiled_tables_equal_the_reference(
    portable_device: Device,
    tmp_path_factory: pytest.TempPathFactory,
    shape: Shape,
    quantisation: Quantisation,
    seed: int,
) -> None:
    table = np.random.default_rng(seed).integers(-128, 128, 256, dtype=np.int8)
    graph = one_operator(Lookup("any", table), ((shape, quantisation),), quantisation)
    assert_c_equals_reference(graph, portable_device, tmp_path_factory.getbasetemp())

"""Products: against real arithmetic, and the C against the integers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automcu.compiler import Quantisation
from automcu.compiler.ops import Multiply
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
from tests.compiler.random_graphs import clamps

ROUNDING = 0.5 + 1e-3  # of the nearest step, and of a multiplier of 31 bits


@st.composite
def operand_shapes(draw: st.DrawFn) -> tuple[Shape, Shape]:
    height, width, channels = draw(shapes())
    pixels = draw(st.sampled_from([(height, width), (1, 1)]))
    return (height, width, channels), (*pixels, draw(st.sampled_from([channels, 1])))


@given(operand_shapes(), quantisations(), quantisations(), quantisations())
def test_a_product_is_the_real_product_rounded(
    sizes: tuple[Shape, Shape], first: Quantisation, second: Quantisation, result: Quantisation
) -> None:
    graph = one_operator(Multiply(), ((sizes[0], first), (sizes[1], second)), result)
    (a, b), product = operands_and_result(graph)
    assert furthest(product, a * b, result) <= ROUNDING


@settings(max_examples=40, deadline=None)
@given(operand_shapes(), quantisations(), quantisations(), quantisations(), clamps())
def test_compiled_products_equal_the_reference(
    portable_device: Device,
    tmp_path_factory: pytest.TempPathFactory,
    sizes: tuple[Shape, Shape],
    first: Quantisation,
    second: Quantisation,
    result: Quantisation,
    clamp: tuple[float, float],
) -> None:
    graph = one_operator(Multiply(clamp), ((sizes[0], first), (sizes[1], second)), result)
    assert_c_equals_reference(graph, portable_device, tmp_path_factory.getbasetemp())


def test_a_factor_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="broadcast"):
        Multiply().output_shape((4, 4, 8), (2, 2, 8))

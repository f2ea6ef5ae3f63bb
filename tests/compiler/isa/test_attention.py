"""Attention on armv7e-m against the reference, byte for byte, on a virtual board."""

from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automcu.compiler import Graph, Operator, Quantisation, Tensor, compile_graph
from automcu.compiler.compile import candidates
from automcu.compiler.kernel import Kernel
from automcu.compiler.ops import Attention
from automcu.compiler.ops.attention import MOST_PIXELS
from automcu.mcu import Device, find_device
from tests.compiler.compiled_model import CompiledModel
from tests.compiler.isa.test_special_kernels import first_wrong_layer
from tests.compiler.ops.one_operator import random_inputs

DEVICE = "stm32f407g-disc1"
_numbers = count()


def first_candidate(operator: Operator, graph: Graph, device: Device) -> Kernel:
    """The special kernel, whatever the figures say."""
    return candidates(operator, graph, device)[0]


def attention(tokens: int, heads: int, depth: int, zero_point: int, scale: float = 0.05) -> Graph:
    shape = (1, tokens, 3 * heads * depth)
    tensors = {
        "input": Tensor("input", shape, Quantisation(scale, zero_point)),
        "result": Tensor("result", (1, tokens, heads * depth), Quantisation(1 / 16, -3)),
    }
    layer = Operator("layer", ("input",), "result", Attention(heads, depth**-0.5))
    return Graph(tensors, (layer,), "input", "result")


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    tokens=st.integers(4, 23),
    heads=st.integers(1, 3),
    words=st.integers(1, 9),
    zero_point=st.integers(-128, 127),
    scale=st.sampled_from((0.005, 0.03, 0.1)),
)
def test_two_queries_at_a_time_give_the_reference_s_bytes(
    tokens: int,
    heads: int,
    words: int,
    zero_point: int,
    scale: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    device = find_device(DEVICE)
    program = compile_graph(attention(tokens, heads, 4 * words, zero_point, scale), device)
    assert program.kernels["layer"].variant == "armv7e-m attention"
    folder = tmp_path_factory.getbasetemp() / f"attention{next(_numbers)}"
    assert first_wrong_layer(program, device, folder) is None


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    tokens=st.integers(1, 23),
    heads=st.integers(1, 3),
    words=st.integers(1, 9),
    zero_point=st.integers(-128, 127),
    scale=st.sampled_from((0.005, 0.03, 0.1)),
)
def test_words_of_four_channels_give_the_reference_s_bytes(
    tokens: int,
    heads: int,
    words: int,
    zero_point: int,
    scale: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The C on this machine; as Xtensa code it runs in tests/firmware."""
    graph = attention(tokens, heads, 4 * words, zero_point, scale)
    program = compile_graph(graph, find_device("esp32-s3-devkitc-1"), choose=first_candidate)
    assert program.kernels["layer"].variant == "attention by words"
    model = CompiledModel(program, tmp_path_factory.getbasetemp() / f"words{next(_numbers)}")
    inputs = random_inputs(graph)
    assert np.array_equal(model.run(inputs), program.run(inputs))


@pytest.mark.parametrize(("value", "zero_point"), [(127, -128), (-128, 127)])
def test_the_largest_sums_of_unsigned_values_hold_in_32_bits(
    value: int, zero_point: int, tmp_path: Path
) -> None:
    graph = attention(MOST_PIXELS, 1, 64, zero_point, 0.005)
    program = compile_graph(graph, find_device("esp32-s3-devkitc-1"), choose=first_candidate)
    inputs = np.full((1, *graph.tensors["input"].shape), value, np.int8)
    assert np.array_equal(CompiledModel(program, tmp_path).run(inputs), program.run(inputs))


@pytest.mark.parametrize(("value", "zero_point"), [(127, -128), (-128, 127)])
def test_the_largest_scores_and_means_hold_in_32_bits(
    value: int, zero_point: int, tmp_path: Path
) -> None:
    """All weights are alike, and as large as they can be."""
    device = find_device("nucleo-h743zi2")
    graph = attention(MOST_PIXELS, 1, 64, zero_point, 0.005)
    program = compile_graph(graph, device)
    inputs = np.full(graph.tensors["input"].shape, value)
    assert first_wrong_layer(program, device, tmp_path, inputs) is None


@pytest.mark.parametrize(("tokens", "heads", "depth"), [(3, 1, 8), (16, 2, 6), (16, 24, 64)])
def test_few_tokens_odd_heads_and_wide_pixels_are_left_to_the_portable_kernel(
    tokens: int, heads: int, depth: int
) -> None:
    program = compile_graph(attention(tokens, heads, depth, 0), find_device(DEVICE))
    assert program.kernels["layer"].variant == "portable"


def test_scratch_grows_with_tokens_and_not_with_their_square() -> None:
    def scratch(tokens: int) -> int:
        program = compile_graph(attention(tokens, 2, 8, 0), find_device(DEVICE))
        return program.kernels["layer"].scratch_bytes

    assert scratch(300) - scratch(200) == scratch(200) - scratch(100) == 800

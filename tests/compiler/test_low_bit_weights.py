"""Layers with weights of 6, 4, 3 and 2 bits: rounding, packing, and C against the reference."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automcu.compiler import Graph, Operator, Quantisation, Tensor, compile_graph, run_reference
from automcu.compiler.low_bit_weights import (
    real_weights,
    reduce_convolution_bits,
    reduce_weight_bits,
    reducible_layers,
    round_channels,
)
from automcu.compiler.ops import Convolution
from automcu.compiler.tensor import Shape, Window
from automcu.compiler.weight_packing import LAYOUTS, pack, packing, unpack
from automcu.mcu import Device
from tests.compiler.ops.one_operator import (
    assert_c_equals_reference,
    furthest,
    one_operator,
    operands_and_result,
    quantisations,
    random_inputs,
)
from tests.compiler.random_graphs import graphs

LOW_BITS = tuple(LAYOUTS)
RESULT = Quantisation(1.0, 5)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Shape, Convolution]:
    groups, per_group = draw(st.sampled_from([(1, 1), (1, 3), (1, 8), (2, 2)]))
    shape = (draw(st.integers(2, 5)), draw(st.integers(2, 5)), groups * per_group)
    size = draw(st.integers(1, 2))
    out_channels = groups * draw(st.integers(1, 5))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return shape, Convolution(
        window=Window(size, size, padding=(0, 0, size - 1, 0)),
        out_channels=out_channels,
        groups=groups,
        weights=generator.integers(-128, 128, (out_channels, size, size, per_group), np.int8),
        weight_scales=2 ** generator.uniform(-10, -4, out_channels),
        bias=generator.integers(-1000, 1000, out_channels, dtype=np.int32),
    )


@given(st.sampled_from(LOW_BITS), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_unpacking_undoes_packing(bits: int, units: int, seed: int) -> None:
    layout, step = LAYOUTS[bits], 1 << (8 - bits)
    count = units * layout.unpacked_bytes
    weights = np.random.default_rng(seed).integers(-128 // step, 128 // step, count) * step
    packed = pack(weights.astype(np.int8), bits)
    assert packed.nbytes * 8 == count * bits
    assert np.array_equal(unpack(packed, bits), weights)


def test_weights_with_more_bits_are_not_packed() -> None:
    with pytest.raises(ValueError, match="multiples of 16"):
        pack(np.full(16, 24, np.int8), 4)


@pytest.mark.parametrize("bits", LOW_BITS)
def test_groups_are_padded_to_whole_units(bits: int) -> None:
    packed = packing(bits, weights=3 * 33, groups=3)
    assert packed is not None
    assert packed.packed_bytes == 3 * packed.units * LAYOUTS[bits].packed_bytes
    assert 33 <= packed.unpacked_bytes < 33 + LAYOUTS[bits].unpacked_bytes


@settings(max_examples=60, deadline=None)
@given(convolutions(), st.sampled_from(LOW_BITS), quantisations())
def test_compiled_low_bit_weights_equal_the_reference(
    portable_device: Device,
    tmp_path_factory: pytest.TempPathFactory,
    case: tuple[Shape, Convolution],
    bits: int,
    source: Quantisation,
) -> None:
    shape, attributes = case
    graph = one_operator(reduce_convolution_bits(attributes, bits), ((shape, source),), RESULT)
    assert_c_equals_reference(graph, portable_device, tmp_path_factory.getbasetemp())


@settings(max_examples=40, deadline=None)
@given(graphs(), st.sampled_from(LOW_BITS))
def test_whole_graphs_with_low_bit_weights_equal_the_reference(
    portable_device: Device,
    tmp_path_factory: pytest.TempPathFactory,
    graph: Graph,
    bits: int,
) -> None:
    reduced = reduce_weight_bits(graph, dict.fromkeys(reducible_layers(graph), bits))
    assert_c_equals_reference(reduced, portable_device, tmp_path_factory.getbasetemp())


@given(convolutions(), st.sampled_from(LOW_BITS), quantisations())
def test_a_low_bit_layer_computes_what_its_real_weights_say(
    case: tuple[Shape, Convolution], bits: int, source: Quantisation
) -> None:
    shape, attributes = case
    weights = attributes.weights
    assert weights is not None
    whole = np.tile(weights[:, :1, :1], (1, 1, 1, attributes.groups))
    pointwise = replace(attributes, window=Window(1, 1), groups=1, weights=whole)
    reduced = reduce_convolution_bits(pointwise, bits)
    graph = one_operator(reduced, ((shape, source),), RESULT)
    (values,), result = operands_and_result(graph)
    assert reduced.bias is not None and reduced.weight_scales is not None
    expected = values @ real_weights(reduced)[:, 0, 0, :].T
    expected += reduced.bias * reduced.weight_scales * source.scale
    assert furthest(result, expected, RESULT) <= 0.76


@given(convolutions(), st.sampled_from(LOW_BITS))
def test_a_channel_is_no_further_off_than_with_the_scale_that_clips_nothing(
    case: tuple[Shape, Convolution], bits: int
) -> None:
    attributes = case[1]
    real = real_weights(attributes).reshape(attributes.out_channels, -1)
    steps, scales = round_channels(real, bits)
    assert steps.min() >= -(1 << (bits - 1)) and steps.max() < 1 << (bits - 1)
    plain = np.abs(real).max(axis=1, keepdims=True) / ((1 << (bits - 1)) - 1)
    plain_error = (np.rint(real / np.maximum(plain, 1e-300)) * plain - real) ** 2
    error = (steps * scales[:, None] - real) ** 2
    assert (error.sum(axis=1) <= plain_error.sum(axis=1) * (1 + 1e-9) + 1e-30).all()


def test_a_channel_of_zeros_stays_zero() -> None:
    attributes = Convolution(
        Window(1, 1),
        1,
        weights=np.zeros((1, 1, 1, 4), np.int8),
        weight_scales=np.array([0.01]),
        bias=np.array([700], np.int32),
    )
    reduced = reduce_convolution_bits(attributes, 4)
    assert reduced.weights is not None and not reduced.weights.any()
    assert reduced.weight_scales == attributes.weight_scales and reduced.bias == attributes.bias


def test_a_number_leaves_the_first_and_last_layer_alone(four_layers: Graph) -> None:
    reduced = reduce_weight_bits(four_layers, 4)
    widths = [op.attributes.weight_bits for op in reduced.operators]  # type: ignore[union-attr]
    assert widths == [8, 4, 8, 8], "the third layer is depthwise"


@pytest.mark.parametrize("bits", LOW_BITS)
def test_flash_shrinks_by_the_bits_that_are_left_out(
    bits: int, four_layers: Graph, portable_device: Device
) -> None:
    whole = compile_graph(four_layers, portable_device)
    reduced = compile_graph(reduce_weight_bits(four_layers, bits), portable_device)
    weights = 9 * 16 * 32
    assert whole.weight_bytes - reduced.weight_bytes == weights * (8 - bits) // 8
    assert reduced.kernels["layer1"].variant == f"portable {bits}-bit"


def test_fewer_bits_change_the_outputs_more(four_layers: Graph) -> None:
    inputs = random_inputs(four_layers, 8)
    expected = run_reference(four_layers, inputs).astype(int)
    errors = [
        np.abs(run_reference(reduce_weight_bits(four_layers, bits), inputs) - expected).mean()
        for bits in (8, *LOW_BITS)
    ]
    assert errors[0] == 0 and errors == sorted(errors)


@pytest.fixture
def four_layers() -> Graph:
    """Two convolutions, a depthwise one, and a fully connected layer."""
    generator = np.random.default_rng(3)

    def layer(window: Window, channels: int, depth: int, groups: int = 1) -> Convolution:
        shape = (channels, window.height, window.width, depth // groups)
        return Convolution(
            window,
            channels,
            groups,
            weights=np.clip(np.rint(generator.normal(0, 40, shape)), -127, 127).astype(np.int8),
            weight_scales=np.full(channels, 1 / 4000),
            bias=np.zeros(channels, np.int32),
        )

    same = Window(3, 3, padding=(1, 1, 1, 1))
    return chain_of(
        (6, 6, 3),
        layer(same, 16, 3),
        layer(same, 32, 16),
        layer(same, 32, 32, groups=32),
        layer(Window(6, 6), 10, 32),
    )


def chain_of(shape: Shape, *layers: Convolution) -> Graph:
    tensors = [Tensor("tensor", shape, Quantisation(1 / 32, 0))]
    operators = []
    for index, attributes in enumerate(layers):
        source = tensors[-1]
        name = f"tensor{index}"
        result = attributes.output_shape(source.shape)
        tensors.append(Tensor(name, result, Quantisation(1 / 32, 0)))
        operators.append(Operator(f"layer{index}", (source.name,), name, attributes))
    by_name = {tensor.name: tensor for tensor in tensors}
    return Graph(by_name, tuple(operators), "tensor", tensors[-1].name)

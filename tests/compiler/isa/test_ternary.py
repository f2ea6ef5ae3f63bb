"""Ternary weights: their packing, and both kernels against the reference, byte for byte."""

from dataclasses import replace
from itertools import count
from math import inf
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from automcu.compiler import (
    Graph,
    Operator,
    Quantisation,
    Tensor,
    compile_graph,
    import_onnx,
    run_reference,
)
from automcu.compiler.compile import candidates
from automcu.compiler.kernel import Kernel
from automcu.compiler.low_bit_weights import real_weights, ternary_convolution, ternary_weights
from automcu.compiler.ops import Add, Convolution
from automcu.compiler.ops.ternary import PASS, WEIGHTS_PER_BYTE, groups_of, pack_ternary
from automcu.compiler.passes import optimise
from automcu.compiler.tensor import NO_CLAMP, Shape, Window
from automcu.compiler.tiling.chain import RowTiling
from automcu.mcu import Device, find_device
from tests.compiler.compiled_model import CompiledModel
from tests.compiler.isa.test_special_kernels import first_wrong_layer
from tests.compiler.ops.one_operator import assert_c_equals_reference, random_inputs

XTENSA = "esp32-s3-devkitc-1"
_numbers = count()


def in_lanes(operator: Operator, graph: Graph, device: Device) -> Kernel:
    """Of a ternary layer the kernel in lanes of a word, whatever the figures say."""
    return candidates(operator, graph, device)[0]


def ternary_layer(
    seed: int, channels: int, window: Window, in_channels: int, shared: bool = False
) -> Convolution:
    generator = np.random.default_rng(seed)
    shape = (channels, window.height, window.width, in_channels)
    scale = 2 ** generator.uniform(-8, -4, 1 if shared else channels)
    return Convolution(
        window,
        channels,
        weights=generator.integers(-1, 2, shape, dtype=np.int8),
        weight_scales=np.broadcast_to(scale, channels).copy(),
        bias=generator.integers(-2000, 2000, channels, dtype=np.int32)
        * (100 if seed % 3 == 0 else 1),
        ternary=True,
        shared_scale=shared,
    )


def network(shape: Shape, attributes: Convolution, residual: bool) -> Graph:
    """The layer alone, or its result added to another layer's."""
    result = attributes.output_shape(shape)
    tensors = [
        Tensor("image", shape, Quantisation(0.5, -7)),
        Tensor("first", result, Quantisation(0.25, 3)),
    ]
    operators = [Operator("layer", ("image",), "first", attributes)]
    if residual:
        tensors += [
            Tensor("second", result, Quantisation(0.5, 1)),
            Tensor("sum", result, Quantisation(0.5, -2)),
        ]
        other = replace(attributes, weights=-attributes.weights, clamp=NO_CLAMP)  # type: ignore[operator]
        operators += [
            Operator("other", ("image",), "second", other),
            Operator("add", ("first", "second"), "sum", Add()),
        ]
    return Graph({t.name: t for t in tensors}, tuple(operators), "image", operators[-1].output)


@st.composite
def networks(draw: st.DrawFn) -> Graph:
    shape = (draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.integers(1, 80)))
    size = draw(st.sampled_from((1, 1, 2, 3)))
    pad = draw(st.integers(0, size - 1)) if size > 1 else 0
    if size > min(shape[:2]) + pad:
        size, pad = 1, 0
    window = Window(size, size, (draw(st.integers(1, 2)),) * 2, (pad, 0, 0, pad))
    if size > shape[1]:
        window = Window(1, 1)
    attributes = ternary_layer(
        draw(st.integers(0, 2**32 - 1)),
        draw(st.integers(1, 20)),
        window,
        shape[2],
        draw(st.booleans()),
    )
    clamp = draw(st.sampled_from((NO_CLAMP, (0.0, inf), (-3.0, 6.0))))
    return network(shape, replace(attributes, clamp=clamp), draw(st.booleans()))


def unpacked(packed: NDArray[np.uint8], channels: int, depth: int) -> NDArray[np.int8]:
    """The weights [channels, depth] of a stream."""
    groups = groups_of(depth)
    places = 3 ** np.arange(WEIGHTS_PER_BYTE)
    codes = np.empty((channels, groups), np.int64)
    for first in range(0, groups, PASS):
        count = min(PASS, groups - first)
        part = packed[first * channels : (first + count) * channels]
        codes[:, first : first + count] = part.reshape(channels, count)
    digits = codes[:, :, None] // places % 3
    return (digits - 1).reshape(channels, -1)[:, :depth].astype(np.int8)


@given(st.integers(1, 7), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_unpacking_undoes_packing_at_eight_bits_for_five_weights(
    channels: int, depth: int, seed: int
) -> None:
    weights = np.random.default_rng(seed).integers(-1, 2, (channels, depth), dtype=np.int8)
    packed = pack_ternary(weights)
    assert packed.nbytes == channels * groups_of(depth) == channels * -(-depth // 5)
    assert np.array_equal(unpacked(packed, channels, depth), weights)


def test_other_weights_are_not_packed() -> None:
    with pytest.raises(ValueError, match="-1, 0 or 1"):
        pack_ternary(np.full((1, 5), 2, np.int8))


@settings(max_examples=40, deadline=None)
@given(networks())
def test_the_portable_kernel_computes_the_reference(
    portable_device: Device, tmp_path_factory: pytest.TempPathFactory, graph: Graph
) -> None:
    assert_c_equals_reference(graph, portable_device, tmp_path_factory.getbasetemp())


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=networks())
def test_the_kernel_on_packed_lanes_computes_the_reference(
    graph: Graph, tmp_path_factory: pytest.TempPathFactory
) -> None:
    device = find_device("stm32f407g-disc1")
    folder = tmp_path_factory.getbasetemp() / f"ternary{next(_numbers)}"
    assert first_wrong_layer(compile_graph(graph, device), device, folder) is None


@settings(max_examples=40, deadline=None)
@given(networks())
def test_the_kernel_in_lanes_of_a_word_computes_the_reference(
    tmp_path_factory: pytest.TempPathFactory, graph: Graph
) -> None:
    """Its C on this machine; as Xtensa code it runs in tests/firmware."""
    device = find_device(XTENSA)
    program = compile_graph(graph, device, choose=in_lanes)
    model = CompiledModel(program, tmp_path_factory.getbasetemp() / f"lanes{next(_numbers)}")
    inputs = random_inputs(graph)
    assert np.array_equal(model.run(inputs), program.run(inputs))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("depth", [255, 256, 260, 499])
def test_the_largest_sums_stay_in_the_lanes_of_a_word(
    depth: int, sign: int, tmp_path: Path
) -> None:
    """Neighbouring pixels at opposite ends, so that each borrows from or carries into the next."""
    weights = np.full((6, 1, 1, depth), sign, np.int8)
    weights[3:, 0, 0, depth // 2 :] = -sign
    attributes = replace(ternary_layer(0, 6, Window(1, 1), depth), weights=weights)
    graph = network((1, 4, depth), attributes, residual=False)
    program = compile_graph(graph, find_device(XTENSA), choose=in_lanes)
    ends = np.array([-128, 127, 127, -128], np.int8)
    inputs = np.stack([np.broadcast_to(e[None, :, None], (1, 4, depth)) for e in (ends, ~ends)])
    assert np.array_equal(CompiledModel(program, tmp_path).run(inputs), program.run(inputs))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("depth", [255, 256, 260, 499])
def test_the_largest_sums_do_not_leave_their_lanes(depth: int, sign: int, tmp_path: Path) -> None:
    """All weights are alike and the input, whose zero point is outside, is at its end."""
    attributes = ternary_layer(0, 6, Window(1, 1), depth)
    weights = np.full((6, 1, 1, depth), sign, np.int8)
    weights[3:, 0, 0, depth // 2 :] = -sign
    graph = network((1, 1, depth), replace(attributes, weights=weights), residual=False)
    device = find_device("stm32f407g-disc1")
    program = compile_graph(graph, device)
    assert program.kernels["layer"].variant == "armv7e-m ternary"
    assert first_wrong_layer(program, device, tmp_path, np.full((1, 1, depth), -128)) is None
    assert first_wrong_layer(program, device, tmp_path, np.full((1, 1, depth), 127)) is None


def test_a_weight_takes_at_most_1_65_bits_with_its_scale(portable_device: Device) -> None:
    for inputs, outputs in ((192, 192), (192, 768), (768, 192), (384, 1536)):
        attributes = ternary_layer(0, outputs, Window(1, 1), inputs, shared=True)
        kernel = compile_graph(
            network((1, 1, inputs), attributes, residual=False), portable_device
        ).kernels["layer"]
        sizes = {array.name: array.size for array in kernel.arrays}
        assert 8 * (sizes["weights"] + sizes["multipliers"]) / (inputs * outputs) <= 1.65


@pytest.fixture
def eight_bit_layers() -> Graph:
    """Three 3x3 convolutions with int8 weights."""
    generator = np.random.default_rng(5)
    window = Window(3, 3, padding=(1, 1, 1, 1))
    tensors = [Tensor("image", (6, 6, 16), Quantisation(1 / 32, 0))]
    operators = []
    for index in range(3):
        layer = Convolution(
            window,
            16,
            weights=np.clip(generator.normal(0, 40, (16, 3, 3, 16)), -127, 127).astype(np.int8),
            weight_scales=np.full(16, 1 / 4000),
            bias=np.zeros(16, np.int32),
        )
        source, name = tensors[-1].name, f"tensor{index}"
        tensors.append(Tensor(name, (6, 6, 16), Quantisation(1 / 32, 0)))
        operators.append(Operator(f"layer{index}", (source,), name, layer))
    return Graph({t.name: t for t in tensors}, tuple(operators), "image", "tensor2")


def test_eight_bit_layers_become_ternary_but_for_the_first_and_the_last(
    eight_bit_layers: Graph, portable_device: Device, tmp_path: Path
) -> None:
    ternary = ternary_weights(eight_bit_layers)
    assert [op.attributes.ternary for op in ternary.operators] == [False, True, False]  # type: ignore[union-attr]
    before = compile_graph(eight_bit_layers, portable_device).kernels["layer1"]
    after = compile_graph(ternary, portable_device).kernels["layer1"]
    assert before.weight_bytes - after.weight_bytes == 9 * 16 * 16 - 16 * 29
    assert_c_equals_reference(ternary, portable_device, tmp_path)


def test_ternary_weights_are_nearer_than_those_of_a_threshold_and_a_mean(
    eight_bit_layers: Graph,
) -> None:
    """Against Li et al., Ternary weight networks: threshold 0.7 mean |w|, scale by the mean."""
    attributes = eight_bit_layers.operators[1].attributes
    assert isinstance(attributes, Convolution)
    real = real_weights(attributes).reshape(16, -1)
    ours = real_weights(ternary_convolution(attributes)).reshape(16, -1)
    kept = np.abs(real) > 0.7 * np.abs(real).mean(axis=1, keepdims=True)
    scale = (np.abs(real) * kept).sum(axis=1, keepdims=True) / kept.sum(axis=1, keepdims=True)
    theirs = np.sign(real) * kept * scale
    assert ((ours - real) ** 2).sum() <= ((theirs - real) ** 2).sum() * 1.001


@pytest.mark.parametrize(("scales", "shared"), [(1, True), (64, False)])
def test_two_bit_weights_of_an_onnx_file_are_read_as_ternary(
    scales: int, shared: bool, tmp_path: Path
) -> None:
    path = tmp_path / "ternary.onnx"
    generator = np.random.default_rng(1)
    weights = generator.integers(-1, 2, (40, 64))
    weight_scales = np.full(scales, 0.01, np.float32) * np.arange(1, scales + 1)
    save_ternary_product(path, weights, weight_scales.astype(np.float32))
    (operator,) = optimise(import_onnx(path)).operators
    attributes = operator.attributes
    assert isinstance(attributes, Convolution) and attributes.weights is not None
    assert attributes.ternary and attributes.shared_scale is shared
    assert np.array_equal(attributes.weights.reshape(64, 40), weights.T)


def test_onnxruntime_and_the_compiler_agree_on_a_two_bit_product(tmp_path: Path) -> None:
    path = tmp_path / "ternary.onnx"
    generator = np.random.default_rng(2)
    scales = np.full(1, 0.03, np.float32)
    save_ternary_product(path, generator.integers(-1, 2, (40, 64)), scales)
    inputs = generator.integers(-128, 128, (8, 3, 40), dtype=np.int8)
    options = onnxruntime.SessionOptions()  # its integer product does not take two-bit weights
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"x": (inputs.astype(np.float32) * np.float32(0.1))})
    steps = np.clip(np.rint(expected / 0.5), -128, 127)
    ours = run_reference(import_onnx(path), inputs).reshape(steps.shape)
    assert np.abs(ours - steps).max() <= 1


def save_ternary_product(path: Path, weights: np.ndarray, scales: np.ndarray) -> None:
    """A QDQ model of one product [n, 3, in] x [in, out] whose weights are INT2."""
    helper = onnx.helper
    zero = helper.make_tensor("zero", onnx.TensorProto.INT8, [], [0])
    constants = [
        zero,
        helper.make_tensor("x_scale", onnx.TensorProto.FLOAT, [], [0.1]),
        helper.make_tensor("y_scale", onnx.TensorProto.FLOAT, [], [0.5]),
        helper.make_tensor("w", onnx.TensorProto.INT2, weights.shape, weights.reshape(-1).tolist()),
        onnx.numpy_helper.from_array(scales.reshape(() if scales.size == 1 else -1), "w_scale"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "x_scale", "zero"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "x_scale", "zero"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "w_scale"], ["wd"], axis=1),
        helper.make_node("MatMul", ["xd", "wd"], ["p"]),
        helper.make_node("QuantizeLinear", ["p", "y_scale", "zero"], ["pq"]),
        helper.make_node("DequantizeLinear", ["pq", "y_scale", "zero"], ["y"]),
    ]
    float_ = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "product",
        [helper.make_tensor_value_info("x", float_, ["n", 3, weights.shape[0]])],
        [helper.make_tensor_value_info("y", float_, ["n", 3, weights.shape[1]])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=13)
    onnx.save(model, path)


@pytest.mark.parametrize("board", [None, "stm32f407g-disc1"])
def test_ternary_layers_run_some_rows_at_a_time(
    board: str | None, eight_bit_layers: Graph, portable_device: Device, tmp_path: Path
) -> None:
    device = find_device(board) if board else portable_device
    graph = ternary_weights(eight_bit_layers)
    whole = compile_graph(graph, device)
    striped = compile_graph(graph, device, arena_limit_bytes=whole.arena.size - 200)
    assert any(isinstance(op.attributes, RowTiling) for op in striped.graph.operators)
    assert any(
        part.settings.get("ternary_calls") or "ternary" in part.variant
        for kernel in striped.kernels.values()
        for part in kernel.with_parts
    )
    if board:
        assert first_wrong_layer(striped, device, tmp_path) is None
    else:
        model = CompiledModel(striped, tmp_path)
        inputs = random_inputs(striped.graph)
        assert np.array_equal(model.run(inputs), striped.run(inputs))

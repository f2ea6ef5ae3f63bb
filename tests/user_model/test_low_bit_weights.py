"""Weights get fewer bits where flash asks for it, and no further; data tells what it costs."""

from pathlib import Path

import numpy as np
import pytest

from automcu.calibration.networks import with_random_weights
from automcu.compiler import Graph, Operator, Quantisation, Tensor, compile_graph
from automcu.compiler.low_bit_weights import reducible_layers
from automcu.compiler.ops import Convolution
from automcu.compiler.tensor import Window
from automcu.cost.estimation import estimate_program
from automcu.errors import WrongInputError
from automcu.mcu import Device, find_device
from automcu.user_model.inputs import load_labelled_inputs
from automcu.user_model.quantise import apply_weights, weight_widths

SAME = Window(3, 3, padding=(1, 1, 1, 1))
SHAPE = (6, 6, 4)


@pytest.fixture(scope="module")
def device() -> Device:
    return find_device("stm32f407g-disc1")


@pytest.fixture(scope="module")
def graph() -> Graph:
    scale = Quantisation(1.0, 0)
    tensors = [Tensor("input", SHAPE, scale)]
    operators = []
    layers = (
        Convolution(SAME, 16),
        Convolution(SAME, 64),
        Convolution(SAME, 64, groups=64),
        Convolution(Window(1, 1), 64),
        Convolution(Window(6, 6), 8),
    )
    for index, attributes in enumerate(layers):
        shape = attributes.output_shape(tensors[-1].shape)
        source = tensors[-1].name
        tensors.append(Tensor(f"tensor{index}", shape, scale))
        operators.append(Operator(f"layer{index}", (source,), f"tensor{index}", attributes))
    by_name = {tensor.name: tensor for tensor in tensors}
    return with_random_weights(Graph(by_name, tuple(operators), "input", "tensor4"), seed=0)


@pytest.fixture(scope="module")
def inputs() -> np.ndarray:
    return np.random.default_rng(0).integers(-128, 128, (12, *SHAPE), dtype=np.int8)


def flash(graph: Graph, device: Device) -> int:
    return estimate_program(compile_graph(graph, device), device).flash_bytes


def test_nothing_is_reduced_where_flash_suffices(graph: Graph, device: Device) -> None:
    assert weight_widths(apply_weights(graph, "auto", device)) == {}
    assert weight_widths(apply_weights(graph, "8", device)) == {}


@pytest.mark.parametrize("calibrated", [False, True])
def test_as_many_bits_are_left_out_as_flash_asks_for(
    graph: Graph, device: Device, inputs: np.ndarray, calibrated: bool
) -> None:
    whole = flash(graph, device)
    calibration = inputs if calibrated else None
    bits = []
    for share in (0.9, 0.8, 0.7):
        reduced = apply_weights(graph, "auto", device, round(share * whole), calibration)
        assert flash(reduced, device) <= share * whole
        widths = weight_widths(reduced)
        assert "layer2" not in widths, "it is depthwise"
        bits.append(sum(widths.get(name, 8) for name in reducible_layers(graph)))
    assert bits == sorted(bits, reverse=True) and bits[0] > bits[-1]


def test_where_nothing_fits_weights_of_the_fewest_bits_are_taken(
    graph: Graph, device: Device
) -> None:
    reduced = apply_weights(graph, "auto", device, 1)
    assert set(weight_widths(reduced).values()) == {2}


def test_a_device_has_no_more_flash_than_it_has(graph: Graph, device: Device) -> None:
    regions = tuple(r.model_copy(update={"size": r.size // 64}) for r in device.memory)
    small = device.model_copy(update={"memory": regions})
    assert small.flash_bytes < flash(graph, device) < device.flash_bytes
    assert weight_widths(apply_weights(graph, "auto", small, 1 << 40))


def test_a_number_reduces_all_but_the_ends_and_depthwise_layers(
    graph: Graph, device: Device
) -> None:
    assert weight_widths(apply_weights(graph, "3", device)) == {"layer1": 3, "layer3": 3}


def test_inputs_of_the_model_itself_are_taken_as_they_are(
    graph: Graph, inputs: np.ndarray, tmp_path: Path
) -> None:
    labels = np.arange(12) % 8
    np.savez(tmp_path / "own.npz", x=inputs.reshape(12, -1), y=labels)
    loaded = load_labelled_inputs(str(tmp_path / "own.npz"), graph)
    assert len(loaded.calibration) == 2 and len(loaded.test) == 10
    together = np.concatenate([loaded.calibration, loaded.test])
    assert {x.tobytes() for x in together} == {x.tobytes() for x in inputs}
    right = compile_graph(graph, find_device("f407")).run(loaded.test).argmax(axis=1)
    outputs = loaded.outputs(graph)
    assert loaded.accuracy(outputs) == (right == loaded.labels).mean()
    assert any("Only 10 inputs were tested" in sentence for sentence in loaded.warnings(outputs))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((4, 5), np.int8), np.zeros(4, np.int64), "takes 6x6x4"),
        (np.zeros((4, 144), np.int8), np.zeros(3, np.int64), "one class number for each"),
        (np.zeros((1, 144), np.int8), np.zeros(1, np.int64), "holds 1 inputs"),
    ],
)
def test_data_that_is_not_the_models_is_refused(
    x: np.ndarray, y: np.ndarray, message: str, graph: Graph, tmp_path: Path
) -> None:
    np.savez(tmp_path / "other.npz", x=x, y=y)
    with pytest.raises(WrongInputError, match=message):
        load_labelled_inputs(str(tmp_path / "other.npz"), graph)

"""How many bits each layer's weights get, and what that costs in accuracy.

One width for all, ternary, or as few bits as flash asks for.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from automcu.compiler import Graph, compile_graph, run_all_tensors
from automcu.compiler.compile import choose_kernel
from automcu.compiler.low_bit_weights import (
    WIDTHS,
    real_weights,
    reduce_convolution_bits,
    reduce_weight_bits,
    reducible_layers,
    ternary_weights,
)
from automcu.compiler.ops import Convolution, Softmax
from automcu.compiler.passes import optimise
from automcu.cost.estimation import estimate_program
from automcu.errors import WrongInputError
from automcu.mcu.profile import Device
from automcu.records import Record
from automcu.user_model.inputs import load_labelled_inputs

Weights = Literal["auto", "8", "6", "4", "3", "2", "ternary"]
WEIGHTS: tuple[str, ...] = get_args(Weights)
CALIBRATION_INPUTS = 32
TERNARY_BITS = 1.6  # five weights to a byte
Widths = dict[str, int]
Inputs = NDArray[np.int8]
_Move = tuple[str, int]  # a layer and the bits that its weights could have


class LowBitWeights(Record):
    """Bits of the layers with fewer than 8, and accuracies on `test_inputs` labelled inputs.

    Ternary layers have 1.6 bits. Both accuracies are those of the integer reference, as fractions;
    None where no data was given. `warnings` say why the accuracy is no result.
    """

    widths: dict[str, int | float]
    test_inputs: int = 0
    accuracy_8_bits: float | None = None
    accuracy: float | None = None
    warnings: tuple[str, ...] = ()


def with_weights(
    graph: Graph,
    weights: str,
    device: Device,
    max_flash_bytes: int | None = None,
    data: str | None = None,
) -> tuple[Graph, LowBitWeights]:
    """The graph with the weights that `--weights` asks for, and what is known of them.

    With `data`, a data set, `auto` weighs widths by their error on it, and accuracy is measured.

    Raises:
        WrongInputError: `weights` is none of the choices, or the data do not go with the model.
    """
    if weights not in WEIGHTS:
        raise WrongInputError(f"Weights cannot be {weights!r}. Choose {', '.join(WEIGHTS)}.")
    if data is None:
        reduced = apply_weights(graph, weights, device, max_flash_bytes)
        return reduced, LowBitWeights(widths=weight_widths(reduced))
    inputs = load_labelled_inputs(data, graph)
    reduced = apply_weights(graph, weights, device, max_flash_bytes, inputs.calibration)
    widths = weight_widths(reduced)
    before = inputs.outputs(graph)
    outputs = inputs.outputs(reduced) if widths else before
    return reduced, LowBitWeights(
        widths=widths,
        test_inputs=len(inputs.test),
        accuracy_8_bits=inputs.accuracy(before),
        accuracy=inputs.accuracy(outputs),
        warnings=inputs.warnings(outputs),
    )


def apply_weights(
    graph: Graph,
    weights: str,
    device: Device,
    max_flash_bytes: int | None = None,
    calibration: Inputs | None = None,
) -> Graph:
    """The graph with the weights that `--weights` asks for; `auto` needs flash figures.

    A number, or `ternary`, is for all layers but the first, the last and the depthwise ones.
    """
    if weights == "ternary":
        return ternary_weights(graph)
    if weights != "auto":
        return graph if weights == "8" else reduce_weight_bits(graph, int(weights))
    flash = device.flash_bytes if max_flash_bytes is None else max_flash_bytes
    flash = min(flash, device.flash_bytes)
    return reduce_weight_bits(graph, widths_for_flash(graph, device, flash, calibration))


def widths_for_flash(
    graph: Graph, device: Device, flash_bytes: int, calibration: Inputs | None
) -> Widths:
    """Bits by layer, 8 where none is named, with which the firmware takes `flash_bytes` at most.

    Greedily: the next layer and width are those that add the least error for each byte that they
    save; at the end, layers get bits back where that still fits. The error is that of the
    outputs for `calibration`, int8 [n, height, width, channels]; without any, that of the weights,
    relative to the layer's. Where even the fewest bits are too many, those are returned.
    """
    graph = optimise(graph)
    widths: Widths = {}
    if _flash_bytes(graph, device, widths) <= flash_bytes:
        return widths
    moves = [(name, bits) for name in reducible_layers(graph) for bits in WIDTHS]
    sizes = {move: _weight_bytes(graph, device, move) for move in moves}
    errors = _errors(graph, moves, calibration)
    while _flash_bytes(graph, device, widths) > flash_bytes:
        best = _cheapest(widths, sizes, errors)
        if best is None:
            return widths
        widths[best[0]] = best[1]
    return _widened(widths, errors, lambda tried: _flash_bytes(graph, device, tried) <= flash_bytes)


def _widened(
    widths: Widths, errors: Mapping[_Move, float], fits: Callable[[Widths], bool]
) -> Widths:
    """Use up what the last step saved beyond need: the layers with the largest errors first."""
    for name in sorted(widths, key=lambda name: -errors[name, widths[name]]):
        for bits in WIDTHS:
            tried = {**widths, name: bits}
            if bits > widths[name] and fits(tried):
                widths = tried
                break
    return {name: bits for name, bits in widths.items() if bits < WIDTHS[0]}


def weight_widths(graph: Graph) -> dict[str, int | float]:
    """Bits of the layers that have fewer than 8; 1.6 of ternary ones."""
    layers = {
        operator.name: operator.attributes
        for operator in graph.operators
        if isinstance(operator.attributes, Convolution)
    }
    bits = {
        name: TERNARY_BITS if layer.ternary else layer.weight_bits for name, layer in layers.items()
    }
    return {name: width for name, width in bits.items() if width < WIDTHS[0]}


def _cheapest(
    widths: Widths, sizes: Mapping[_Move, int], errors: Mapping[_Move, float]
) -> _Move | None:
    """The move with the least error for each byte that it saves; None if none saves any."""

    def now(move: _Move) -> _Move:
        return move[0], widths.get(move[0], WIDTHS[0])

    def price(move: _Move) -> float:
        return (errors[move] - errors[now(move)]) / (sizes[now(move)] - sizes[move])

    saving = [move for move in sizes if sizes[move] < sizes[now(move)]]
    return min(saving, key=price, default=None)


def _flash_bytes(graph: Graph, device: Device, widths: Widths) -> int:
    program = compile_graph(reduce_weight_bits(graph, widths), device)
    return estimate_program(program, device).flash_bytes


def _weight_bytes(graph: Graph, device: Device, move: _Move) -> int:
    operator = next(op for op in graph.operators if op.name == move[0])
    attributes = operator.attributes
    assert isinstance(attributes, Convolution)
    reduced = replace(operator, attributes=replace(attributes, weight_bits=move[1]))
    return choose_kernel(reduced, graph, device).weight_bytes


def _errors(graph: Graph, moves: list[_Move], calibration: Inputs | None) -> dict[_Move, float]:
    measure = _weight_error(graph) if calibration is None else _output_error(graph, calibration)
    return {move: 0.0 if move[1] == WIDTHS[0] else measure(move) for move in moves}


def _output_error(graph: Graph, inputs: Inputs) -> Callable[[_Move], float]:
    """Mean squared difference of the outputs, in steps, when one layer has fewer."""
    inputs = inputs[:CALIBRATION_INPUTS]
    tensor = _compared_tensor(graph)
    expected = run_all_tensors(graph, inputs)[tensor].astype(np.float64)

    def error(move: _Move) -> float:
        reduced = reduce_weight_bits(graph, dict([move]))
        return float(((run_all_tensors(reduced, inputs)[tensor] - expected) ** 2).mean())

    return error


def _compared_tensor(graph: Graph) -> str:
    """The output, or what enters a softmax at the end: most of what leaves one is 0 or 1."""
    last = graph.producer(graph.output)
    if last is not None and isinstance(last.attributes, Softmax):
        return last.inputs[0]
    return graph.output


def _weight_error(graph: Graph) -> Callable[[_Move], float]:
    """Squared error of the layer's weights, relative to their squares."""
    layers = {operator.name: operator.attributes for operator in graph.operators}

    def error(move: _Move) -> float:
        attributes = layers[move[0]]
        assert isinstance(attributes, Convolution)
        real = real_weights(attributes)
        reduced = real_weights(reduce_convolution_bits(attributes, move[1]))
        return float(((reduced - real) ** 2).sum() / max((real**2).sum(), np.finfo(float).tiny))

    return error

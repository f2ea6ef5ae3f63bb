"""A float model of the user's own: quantised with the user's data, and held against itself.

Each layer's weights get one width for all, are ternary, or have as few bits as flash asks for; what
that costs in accuracy is measured.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import log10, prod
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from automcu.compiler import (
    Graph,
    compile_graph,
    import_model,
    optimise,
    quantise_inputs,
    run_all_tensors,
    run_reference,
)
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
from automcu.compiler.project import describe_tensor
from automcu.cost.estimation import estimate_program
from automcu.errors import WrongInputError
from automcu.mcu.profile import Device
from automcu.records import Record
from automcu.user_model.inputs import (
    BYTE_MAXIMUM,
    ModelInputs,
    laid_out,
    load_labelled_inputs,
    load_model_inputs,
)

if TYPE_CHECKING:
    from automcu.export.quantise_own import OwnModel


_MOST_CALIBRATING = 512
_MOST_COMPARED = 512

Reals = NDArray[np.float32]


class Calibrated(Record):
    """How the int8 network compares with the float one on `inputs` of the data.

    `same_class` is the share of inputs for which both have the same largest output, None where the
    output is no vector, or one number, or of the input's own shape; `same_class_positions` is the
    share of pixels or steps in which the largest channel is the same, None where there are none, or
    one channel. `are_classes` says that the outputs are known to be classes: the network ends in a
    softmax, or the data has a class for each. `typical_error` is the root mean square of the
    outputs' difference, as a share of the range of the float outputs, `sqnr_db` the power of the
    float outputs over that of the difference, None where there is no difference. `output_shape` is
    the file's, without the batch. `unseen` says that none of the inputs calibrated the network;
    `notes` tell what was done to the data.
    """

    inputs: int
    same_class: float | None
    typical_error: float
    same_class_positions: float | None = None
    are_classes: bool = False
    sqnr_db: float | None = None
    output_shape: tuple[int, ...] = ()
    unseen: bool = True
    notes: tuple[str, ...] = ()


def quantise_first(
    model: Path, data: str | None, quantised: Path
) -> tuple[Path, Calibrated | None]:
    """The file to go on with: the model, or where there is `data` its quantised form.

    Raises:
        WrongInputError, UnsupportedModelError: as `calibrate_model_file`.
    """
    if data is None:
        return model, None
    return quantised, calibrate_model_file(model, data, quantised)


def calibrate_model_file(model: Path, data: str, quantised: Path) -> Calibrated:
    """Quantise a float ONNX file with `data` into `quantised`.

    `data` is a data set, whose images in [0, 1] are fed as the model takes them, or a `.npz` or
    `.npy` whose float x holds inputs exactly as it takes them.

    Raises:
        WrongInputError: the file or the data are missing, or do not go together.
        UnsupportedModelError: the model cannot be quantised or compiled.
    """
    # onnxruntime takes half a second to import, for which quantised models need not wait.
    from automcu.export.quantise_own import quantise_own, read_own

    own = read_own(model)
    given = load_model_inputs(data, own.input_shape)
    if given.are_integers:
        raise WrongInputError(
            f"{data} holds int8 values, which a compiled network takes. Give --calibrate the "
            "inputs that the float model takes."
        )
    calibrating, compared = _drawn(given)
    unseen = compared is not calibrating
    scale = BYTE_MAXIMUM if given.are_pixels and own.takes_bytes else np.float32(1)
    calibrating, compared = (
        laid_out(values, own.input_shape, data) * scale for values in (calibrating, compared)
    )
    if calibrating.min() == calibrating.max():
        raise WrongInputError(
            f"{data} holds {calibrating.min():g} everywhere, from which no range can be learned. "
            "Give inputs that the model will see."
        )
    quantised.parent.mkdir(parents=True, exist_ok=True)
    quantise_own(own, calibrating, given.are_pixels, quantised)
    found = _compared(own, optimise(import_model(quantised)), compared)
    are_classes = own.ends_in_softmax or _are_classes(given.labels, found)
    return found.model_copy(
        update={
            "are_classes": are_classes,
            "unseen": unseen,
            "notes": given.notes,
        }
    )


def _are_classes(labels: NDArray[np.int64] | None, found: Calibrated) -> bool:
    """Whether the data's labels are numbers of the network's outputs."""
    if labels is None or found.same_class is None:
        return False
    return int(labels.min()) >= 0 and int(labels.max()) < prod(found.output_shape)


def _drawn(given: ModelInputs) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """Inputs that calibrate and that are compared, spread over the data, which may be sorted.

    Where there is no test split, and too little for one, the same inputs do both.
    """
    if given.has_test_split:
        return _spread(given.calibrating, _MOST_CALIBRATING), _spread(
            given.compared, _MOST_COMPARED
        )
    count = len(given.calibrating)
    if count < _MOST_CALIBRATING + _MOST_COMPARED:
        drawn = _spread(given.calibrating, _MOST_CALIBRATING)
        return drawn, drawn
    calibrates = np.zeros(count, np.bool_)
    calibrates[_spread(np.arange(count), _MOST_CALIBRATING)] = True
    others = given.calibrating[~calibrates]
    return given.calibrating[calibrates], _spread(others, _MOST_COMPARED)


def _spread(values: NDArray[np.generic], most: int) -> NDArray[np.generic]:
    """At most so many of the values, at even distances."""
    if len(values) <= most:
        return values
    return values[np.linspace(0, len(values) - 1, most).round().astype(np.int64)]


def _compared(own: "OwnModel", graph: Graph, inputs: Reals) -> Calibrated:
    """Both networks on the same inputs, their outputs side by side in our order of values."""
    given, returned = graph.input_layout, graph.output_layout
    assert given is not None and returned is not None, "an imported graph knows its file's layouts"
    expected = returned.to_memory(own.outputs(inputs)).astype(np.float32)
    found = _run(graph, given.to_memory(inputs).astype(np.float32))
    shape = returned.shape[1:]
    same = positions = None
    if shape != own.input_shape:  # which would be a signal that the network restores
        channels = returned.shape[returned.order[-1]]
        if sum(size > 1 for size in shape) == 1:
            same = _same_largest(expected, found)
        elif channels > 1:
            positions = _same_largest(expected.reshape(-1, channels), found.reshape(-1, channels))
    differences = float(np.mean((expected - found) ** 2, dtype=np.float64))
    power = float(np.mean(expected**2, dtype=np.float64))
    span = float(expected.max() - expected.min())
    return Calibrated(
        inputs=len(inputs),
        same_class=same,
        typical_error=differences**0.5 / span if span else 0.0,
        same_class_positions=positions,
        sqnr_db=10 * log10(power / differences) if power and differences else None,
        output_shape=shape,
    )


def _run(graph: Graph, inputs: Reals) -> Reals:
    """The integer reference's outputs as real numbers, [n, values] as they lie in memory."""
    first, last = (graph.tensors[name] for name in (graph.input, graph.output))
    integers = quantise_inputs(inputs.reshape(-1, *first.shape), describe_tensor(first))
    quantisation = last.quantisation
    assert quantisation is not None, "imported graphs are quantised"
    steps = run_reference(graph, integers).astype(np.float32) - quantisation.zero_point
    return np.asarray(steps * quantisation.scale, np.float32).reshape(len(inputs), -1)


def _same_largest(expected: Reals, found: Reals) -> float:
    """The share of rows in which both have the same largest value, the first of equal ones."""
    return float((expected.argmax(axis=1) == found.argmax(axis=1)).mean())


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

"""A float model of the user's own: quantised with the user's data, and held against itself."""

from math import log10, prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from automcu.compiler import Graph, import_model, optimise, quantise_inputs, run_reference
from automcu.compiler.project import describe_tensor
from automcu.errors import WrongInputError
from automcu.records import Record
from automcu.user_model.inputs import (
    BYTE_MAXIMUM,
    ModelInputs,
    laid_out,
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

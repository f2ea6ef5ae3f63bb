"""A float model of the user's own: quantised with the user's data, and held against itself."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automcu.compiler import Graph, import_model, run_reference
from automcu.datasets import load_dataset
from automcu.datasets.npz_archive import array_names, read_arrays
from automcu.errors import WrongInputError
from automcu.export import OwnModel, onnx_outputs, quantise_own, read_own
from automcu.records import Record

_MOST_CALIBRATING = 512
_MOST_COMPARED = 512
_INPUTS = ("x", "inputs", "x_train")


class Calibrated(Record):
    """How the int8 network compares with the float one on `inputs` of the data.

    `same_class` is the share in which both name the same class, None where the output is one
    number; `typical_error` the root mean square of the outputs' difference, as a share of the
    range of the float outputs.
    """

    inputs: int
    same_class: float | None
    typical_error: float


def calibrate_model_file(model: Path, data: str, quantised: Path) -> Calibrated:
    """Quantise a float ONNX file with `data` into `quantised`.

    `data` is a data set, whose images in [0, 1] are fed as the model takes them, or a `.npz`
    whose float x holds inputs exactly as it takes them.

    Raises:
        WrongInputError: the file or the data are missing, or do not go together.
        UnsupportedModelError: the model cannot be quantised or compiled.
    """
    own = read_own(model)
    calibrating, compared, pixels = _inputs(own, data)
    quantised.parent.mkdir(parents=True, exist_ok=True)
    quantise_own(own, calibrating, pixels, quantised)
    return _compared(own, import_model(quantised), compared)


def _inputs(own: OwnModel, data: str) -> tuple[NDArray[np.float32], NDArray[np.float32], bool]:
    """What calibrates, what is compared, and whether they are pixels."""
    path = Path(data)
    if path.suffix.lower() == ".npz":
        name = next((name for name in _INPUTS if name in array_names(path)), None)
        if name is not None and not _is_image_data(values := read_arrays(path, (name,))[name]):
            if not len(values):
                raise WrongInputError(f"{path}: {name} holds no inputs. Save some hundred.")
            inputs = own.laid_out(values)
            return inputs[:_MOST_CALIBRATING], inputs[-_MOST_COMPARED:], False
    dataset = load_dataset(data)
    calibrating, compared = (own.laid_out(s.inputs) for s in (dataset.train, dataset.test))
    return calibrating[:_MOST_CALIBRATING], compared[:_MOST_COMPARED], True


def _is_image_data(values: NDArray[np.generic]) -> bool:
    """Bytes are pixels; floats are what the model takes."""
    return values.dtype == np.uint8


def _compared(own: OwnModel, graph: Graph, inputs: NDArray[np.float32]) -> Calibrated:
    batch = own.batch or 1
    inputs = inputs[: len(inputs) // batch * batch]
    if not len(inputs):
        raise WrongInputError(f"{own.path} takes {batch} inputs at once. Give more data.")
    expected = onnx_outputs(own.path, inputs).reshape(len(inputs), -1)
    found = _dequantised(graph, run_reference(graph, _quantised(graph, own, inputs)))
    same = None
    if expected.shape[1] > 1:
        same = float((expected.argmax(axis=1) == found.argmax(axis=1)).mean())
    span = float(expected.max() - expected.min())
    return Calibrated(
        inputs=len(inputs),
        same_class=same,
        typical_error=float(np.sqrt(np.mean((expected - found) ** 2))) / span if span else 0.0,
    )


def _quantised(graph: Graph, own: OwnModel, inputs: NDArray[np.float32]) -> NDArray[np.int8]:
    """The network's int8 inputs, channels last."""
    tensor = graph.tensors[graph.input]
    assert tensor.quantisation is not None, "imported graphs are quantised"
    channels_last = (*own.input_shape[1:], own.input_shape[0])
    if len(own.input_shape) == 3 and tensor.shape == channels_last:
        inputs = inputs.transpose(0, 2, 3, 1)
    steps = np.rint(inputs / np.float32(tensor.quantisation.scale)) + tensor.quantisation.zero_point
    return np.asarray(np.clip(steps, -128, 127), np.int8).reshape(-1, *tensor.shape)


def _dequantised(graph: Graph, outputs: NDArray[np.int8]) -> NDArray[np.float32]:
    quantisation = graph.tensors[graph.output].quantisation
    assert quantisation is not None, "imported graphs are quantised"
    steps = outputs.astype(np.float32) - quantisation.zero_point
    return np.asarray(steps * quantisation.scale, np.float32)

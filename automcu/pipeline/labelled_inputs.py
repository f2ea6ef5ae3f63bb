"""Labelled inputs of a compiled model, from any data set, or in the model's own int8."""

from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automcu.compiler import Graph, optimise, run_reference
from automcu.datasets import load_dataset
from automcu.datasets.npz_archive import array_names, read_arrays
from automcu.errors import WrongInputError

_INPUTS, _LABELS = "x", "y"
_CALIBRATION_SHARE = 8  # one input in so many, where there is no training split


@dataclass(frozen=True)
class LabelledInputs:
    """`calibration` and `test` are int8 [n, height, width, channels]; `labels` are the test's."""

    calibration: NDArray[np.int8]
    test: NDArray[np.int8]
    labels: NDArray[np.int64]

    def accuracy(self, graph: Graph) -> float:
        """Share of the test inputs that the integer reference gets right."""
        answers = run_reference(optimise(graph), self.test).argmax(axis=1)
        return float((answers == self.labels).mean())


def load_labelled_inputs(name_or_path: str, graph: Graph) -> LabelledInputs:
    """Load a data set as the input of `graph`.

    A `.npz` whose x is int8 holds inputs as the model takes them, with the labels in y; one in
    eight calibrates. Any other data set is quantised; its training split calibrates.

    Raises:
        WrongInputError: there is no such data, or its inputs have another size.
    """
    path = Path(name_or_path)
    if path.suffix.lower() == ".npz" and {_INPUTS, _LABELS} <= set(array_names(path)):
        arrays = read_arrays(path, (_INPUTS, _LABELS))
        if arrays[_INPUTS].dtype == np.int8:
            return _own_inputs(arrays[_INPUTS], arrays[_LABELS], name_or_path, graph)
    dataset = load_dataset(name_or_path)
    return LabelledInputs(
        calibration=_quantised(dataset.train.inputs, name_or_path, graph),
        test=_quantised(dataset.test.inputs, name_or_path, graph),
        labels=dataset.test.labels,
    )


def _own_inputs(
    inputs: NDArray[np.int8], labels: NDArray[np.generic], where: str, graph: Graph
) -> LabelledInputs:
    if labels.ndim != 1 or len(labels) != len(inputs) or labels.dtype.kind not in "iu":
        raise WrongInputError(f"{where}: y must hold one class number for each of x. Save it so.")
    if len(inputs) <= 1:
        raise WrongInputError(f"{where} holds {len(inputs)} inputs. Save two or more.")
    shaped = _shaped(inputs, where, graph)
    calibrates = np.arange(len(inputs)) % _CALIBRATION_SHARE == 0
    return LabelledInputs(
        shaped[calibrates], shaped[~calibrates], labels[~calibrates].astype(np.int64)
    )


def _quantised(inputs: NDArray[np.float32], where: str, graph: Graph) -> NDArray[np.int8]:
    quantisation = graph.tensors[graph.input].quantisation
    assert quantisation is not None, "imported graphs are quantised"
    steps = np.rint(inputs / np.float32(quantisation.scale)) + quantisation.zero_point
    return _shaped(np.clip(steps, -128, 127).astype(np.int8), where, graph)


def _shaped(inputs: NDArray[np.int8], where: str, graph: Graph) -> NDArray[np.int8]:
    shape = graph.tensors[graph.input].shape
    if prod(inputs.shape[1:]) != prod(shape):
        raise WrongInputError(
            f"{where} holds inputs of shape {'x'.join(map(str, inputs.shape[1:]))}, the model "
            f"takes {'x'.join(map(str, shape))}. Give the data that the model was made for."
        )
    return inputs.reshape(-1, *shape)

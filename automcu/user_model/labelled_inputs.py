"""Labelled inputs of a compiled model, from any data set, or in the model's own int8."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automcu.boards.project import class_counts
from automcu.compiler import Graph, optimise, run_reference
from automcu.compiler.project import describe_tensor
from automcu.errors import WrongInputError
from automcu.report.reliability import accuracy_warnings
from automcu.user_model.inputs import (
    as_network_takes,
    is_scale_of_pixels,
    load_model_inputs,
)

_CALIBRATION_SHARE = 8  # one input in so many, where there is no training split


@dataclass(frozen=True)
class LabelledInputs:
    """`calibration` and `test` are int8 [n, height, width, channels]; `labels` are the test's."""

    calibration: NDArray[np.int8]
    test: NDArray[np.int8]
    labels: NDArray[np.int64]

    def outputs(self, graph: Graph) -> NDArray[np.int8]:
        """What the integer reference gives for the test inputs, [n, values]."""
        return run_reference(optimise(graph), self.test)

    def accuracy(self, outputs: NDArray[np.int8]) -> float:
        """Share of the test inputs of which the largest output is the label."""
        return float((outputs.argmax(axis=1) == self.labels).mean())

    def warnings(self, outputs: NDArray[np.int8]) -> tuple[str, ...]:
        """A sentence for each reason why that accuracy is no result."""
        counts = class_counts(outputs, self.labels)
        correct = int((outputs.argmax(axis=1) == self.labels).sum())
        return accuracy_warnings(correct, counts["label_counts"], counts["answer_counts"], ())


def load_labelled_inputs(name_or_path: str, graph: Graph) -> LabelledInputs:
    """Load data as the input of `graph`: whatever `--calibrate` takes, or its own int8.

    The training split calibrates; where there is none, one input in eight.

    Raises:
        WrongInputError: there is no such data, its inputs have another size, or no class each.
    """
    taken = describe_tensor(graph.tensors[graph.input], graph.input_layout)
    shape = taken.file_shape[1:] or taken.shape
    given = load_model_inputs(name_or_path, shape, split_pixels=is_scale_of_pixels(taken))
    if given.labels is None:
        raise WrongInputError(
            f"{name_or_path}: y must hold one class number for each of x. Save it so."
        )
    if len(given.compared) <= 1:
        raise WrongInputError(
            f"{name_or_path} holds {len(given.compared)} inputs. Save two or more."
        )
    test = as_network_takes(given.compared, given.are_pixels, taken, name_or_path)
    if given.has_test_split:
        fed = as_network_takes(given.calibrating, given.are_pixels, taken, name_or_path)
        return LabelledInputs(fed, test, given.labels)
    calibrates = np.arange(len(test)) % _CALIBRATION_SHARE == 0
    return LabelledInputs(test[calibrates], test[~calibrates], given.labels[~calibrates])

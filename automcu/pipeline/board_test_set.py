"""A test set to stream through a firmware, in the integers that its network takes."""

from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automcu.boards import LabelledSet
from automcu.compiler import quantise_inputs
from automcu.compiler.project import TensorInfo
from automcu.datasets import load_dataset
from automcu.datasets.npz_archive import array_names, read_arrays
from automcu.errors import WrongInputError

_INPUTS, _LABELS = "x", "y"


def load_test_set(name_or_path: str, network_input: TensorInfo, limit: int | None) -> LabelledSet:
    """Load at most `limit` labelled inputs.

    All of an `.npz` whose x is int8 is taken as it is; any other data set's test split is
    quantised as the network's input.

    Raises:
        WrongInputError: there is no such data, or its inputs have another size.
    """
    inputs, labels = _load(name_or_path, network_input)
    if prod(inputs.shape[1:]) != prod(network_input.shape) or len(inputs) != len(labels):
        raise WrongInputError(
            f"{name_or_path} holds {len(inputs)} inputs of shape "
            f"{'x'.join(map(str, inputs.shape[1:]))} and {len(labels)} labels, the network takes "
            f"{'x'.join(map(str, network_input.shape))}. Give the data that it was made for."
        )
    shaped = inputs.reshape(-1, *network_input.shape)
    return LabelledSet(inputs=shaped[:limit], labels=labels[:limit].astype(np.int64))


def _load(
    name_or_path: str, network_input: TensorInfo
) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    path = Path(name_or_path)
    if path.suffix.lower() == ".npz" and {_INPUTS, _LABELS} <= set(array_names(path)):
        arrays = read_arrays(path, (_INPUTS, _LABELS))
        if arrays[_INPUTS].dtype == np.int8:
            return arrays[_INPUTS], arrays[_LABELS]
    split = load_dataset(name_or_path).test
    return quantise_inputs(split.inputs, network_input), split.labels

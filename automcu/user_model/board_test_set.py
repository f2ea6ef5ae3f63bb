"""A test set to stream through a firmware, in the integers that its network takes."""

import numpy as np
from numpy.typing import NDArray

from automcu.boards.project import LabelledSet
from automcu.compiler.project import TensorInfo
from automcu.user_model.inputs import (
    as_network_takes,
    is_scale_of_bytes,
    is_scale_of_pixels,
    load_model_inputs,
)

_LOWEST, _HIGHEST = -128, 127


def load_test_set(
    name_or_path: str, network_input: TensorInfo, limit: int | None
) -> tuple[LabelledSet | None, tuple[str, ...]]:
    """Load at most `limit` labelled inputs, drawn from all of them, and sentences that their owner
    should read.

    Whatever `--calibrate` takes is taken, and fed alike; int8 values are the network's own. There
    is no set where the data has no classes: nothing could be said of it that the golden inputs do
    not say.

    Raises:
        WrongInputError: there is no such data, or its inputs have another size.
    """
    shape = network_input.file_shape[1:] or network_input.shape
    pixels = is_scale_of_pixels(network_input)
    given = load_model_inputs(name_or_path, shape, split_pixels=pixels)
    drawn = sample(len(given.compared), limit)
    inputs = as_network_takes(given.compared[drawn], given.are_pixels, network_input, name_or_path)
    notes = given.notes
    if given.are_pixels and not (pixels or is_scale_of_bytes(network_input)):
        low, high = (
            (step - network_input.zero_point) * network_input.scale for step in (_LOWEST, _HIGHEST)
        )
        notes += (
            f"{name_or_path}: the pixels were fed as 0 to 1, the network takes {low:.3g} to "
            f"{high:.3g}. If that is wrong, give a .npz of float x as the model takes it.",
        )
    if given.labels is None:
        notes += (
            f"{name_or_path} has no class for each input: accuracy was not measured, the bytes of "
            "the golden inputs were compared.",
        )
        return None, notes
    return LabelledSet(inputs=inputs, labels=given.labels[drawn]), notes


def sample(count: int, limit: int | None) -> NDArray[np.int64]:
    """Return `limit` positions of `count`, or all; the same ones each time.

    Data often lie class by class, so that the first ones would all be of one class.
    """
    if limit is None or limit >= count:
        return np.arange(count)
    return np.random.default_rng(0).permutation(count)[:limit]

"""Integer arithmetic that a file does on shapes, carried out while it is read.

Keras models compute the shape of a Reshape from that of its input; all of it is known here.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.read.tflite_operators.layer import Reading, setting
from automcu.compiler.read.tflite_operators.records import LayerRecord

Integers = NDArray[np.int64]
_MOST_VALUES = 64  # of a shape, or of what becomes part of one


def fold(layer: LayerRecord, reading: Reading) -> bool:
    """Compute the layer if it works on shapes; tells whether it did."""
    if layer.kind == "SHAPE":
        shape = reading.activation(layer).view.shape
        reading.set_integers(layer, np.array(shape, np.int64))
        return True
    if layer.kind not in _FUNCTIONS:
        return False
    given = [position for position in range(len(layer.inputs)) if layer.has_input(position)]
    if not all(reading.is_plain_constant(layer, position) for position in given):
        return False
    values = [np.asarray(reading.constant(layer, i).values).astype(np.int64) for i in given]
    if sum(value.size for value in values) > _MOST_VALUES:
        return False
    reading.set_integers(layer, _FUNCTIONS[layer.kind](layer, values))
    return True


def _strided_slice(layer: LayerRecord, values: list[Integers]) -> Integers:
    vector, (begin,), (end,), (step,) = (value.reshape(-1) for value in values)
    if setting(layer, "ShrinkAxisMask") & 1:
        return np.asarray(vector[begin])
    first = None if setting(layer, "BeginMask") & 1 else int(begin)
    last = None if setting(layer, "EndMask") & 1 else int(end)
    return np.asarray(vector[first : last : int(step)])


def _floor_divide(layer: LayerRecord, values: list[Integers]) -> Integers:
    if np.any(values[1] == 0):
        raise ValueError("a division by zero")
    return np.asarray(values[0] // values[1])


_FUNCTIONS: dict[str, Callable[[LayerRecord, list[Integers]], Integers]] = {
    "ADD": lambda layer, values: np.add(values[0], values[1]),
    "CAST": lambda layer, values: values[0],
    "CONCATENATION": lambda layer, values: np.concatenate([v.reshape(-1) for v in values]),
    "FLOOR_DIV": _floor_divide,
    "DIV": _floor_divide,
    "GATHER": lambda layer, values: np.asarray(values[0].reshape(-1)[values[1]]),
    "MAXIMUM": lambda layer, values: np.maximum(values[0], values[1]),
    "MINIMUM": lambda layer, values: np.minimum(values[0], values[1]),
    "MUL": lambda layer, values: np.multiply(values[0], values[1]),
    "PACK": lambda layer, values: np.stack([value.reshape(()) for value in values]),
    "RESHAPE": lambda layer, values: values[0].reshape(values[1] if len(values) > 1 else -1),
    "REDUCE_PROD": lambda layer, values: np.asarray(np.prod(values[0])),
    "SLICE": lambda layer, values: values[0].reshape(-1)[
        int(values[1].reshape(-1)[0]) : int((values[1] + values[2]).reshape(-1)[0])
    ],
    "STRIDED_SLICE": _strided_slice,
    "SUB": lambda layer, values: np.subtract(values[0], values[1]),
}

SHAPE_KINDS = frozenset({"SHAPE", *_FUNCTIONS})

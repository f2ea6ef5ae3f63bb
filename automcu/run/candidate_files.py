"""The files of a trained candidate, and what its quantisation is calibrated with."""

import numpy as np
from numpy.typing import NDArray

from automcu.datasets.record import Dataset

FLOAT_MODEL = "float.onnx"
TERNARY_MODEL = "ternary.onnx"
INT8_MODEL = "int8.onnx"
_CALIBRATION_INPUTS = 512


def calibration_inputs(data: Dataset) -> NDArray[np.float32]:
    """Return inputs spread evenly over the training split, so that all classes are among them."""
    step = max(1, len(data.train.labels) // _CALIBRATION_INPUTS)
    return data.train.inputs[::step][:_CALIBRATION_INPUTS]

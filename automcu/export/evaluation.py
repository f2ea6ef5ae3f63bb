"""How good an ONNX file is, by onnxruntime, without the warnings that it prints for every model."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from automcu.datasets.record import Split
from automcu.errors import UnsupportedModelError, WrongInputError

LOG_WARNINGS = 2
LOG_ERRORS = 3
"""onnxruntime's own severities; 2 is its default."""


@contextmanager
def quiet_onnxruntime() -> Iterator[None]:
    """Hide warnings of onnxruntime and its Python tools inside the block; errors still show."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    onnxruntime.set_default_logger_severity(LOG_ERRORS)
    try:
        yield
    finally:
        onnxruntime.set_default_logger_severity(LOG_WARNINGS)
        root.setLevel(before)


BATCH = 256


def onnx_accuracy(path: Path, split: Split) -> float:
    """Return the fraction of `split` that the model classifies correctly.

    Raises:
        UnsupportedModelError: onnxruntime cannot open the file.
        WrongInputError: the images do not fit its input.
    """
    predicted = onnx_logits(path, split.inputs).argmax(axis=1)
    return float((predicted == split.labels).mean())


def onnx_logits(path: Path, inputs_nhwc: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the model's float outputs [n, classes] for images [n, height, width, channels]."""
    return onnx_outputs(path, np.ascontiguousarray(inputs_nhwc.transpose(0, 3, 1, 2)))


def onnx_outputs(path: Path, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the model's first output for inputs [n, ...] in the layout that it takes.

    Raises:
        UnsupportedModelError: onnxruntime cannot open the file.
        WrongInputError: the inputs do not fit.
    """
    with quiet_onnxruntime():
        session = _open(path)
        source = session.get_inputs()[0]
        fixed = source.shape[0]
        batch = fixed if isinstance(fixed, int) else BATCH
        try:
            outputs = [
                session.run(None, {source.name: inputs[start : start + batch]})[0]
                for start in range(0, len(inputs), batch)
            ]
        except Exception as error:
            raise WrongInputError(
                f"{path} takes inputs {source.shape}, given were {list(inputs.shape)}. "
                "Give inputs of that size."
            ) from error
    return np.concatenate(outputs)


def _open(path: Path) -> onnxruntime.InferenceSession:
    """Open without int8 kernels: on processors without VNNI theirs saturate at 16 bits.

    The graph then runs as it is written: dequantise, compute in float, quantise. Threads that spin
    while they wait would slow everything down on a busy computer.
    """
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise UnsupportedModelError(
            f"{path} cannot be opened by onnxruntime. Export the network again."
        ) from error

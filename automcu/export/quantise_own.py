"""Post-training quantisation of a float ONNX file that somebody else made."""

import tempfile
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import version_converter
from onnxruntime.quantization.shape_inference import quant_pre_process

from automcu.errors import UnsupportedModelError, WrongInputError
from automcu.export.float_islands import DEQUANTISE, QUANTISE
from automcu.export.quantise import CALIBRATION_BATCH, quantised_model
from automcu.export.quiet import quiet_onnxruntime
from automcu.records import write_atomically

_PER_CHANNEL_OPSET = 13
"""Since this version of the operators a scale can be one per channel."""

_TARGET_OPSET = 17


@dataclass(frozen=True)
class OwnModel:
    """A float file: its input's name, its shape without the batch, and the batch if it is fixed."""

    path: Path
    input_name: str
    input_shape: tuple[int, ...]
    batch: int | None

    def laid_out(self, inputs: NDArray[np.generic]) -> NDArray[np.float32]:
        """Inputs [n, ...] in the layout that the model takes.

        Images [n, height, width, channels] become channels-first or flat where the model is.

        Raises:
            WrongInputError: they have another size.
        """
        shape = inputs.shape[1:]
        values = inputs.astype(np.float32)
        if shape == self.input_shape:
            return values
        if len(shape) == 3 and (shape[2], *shape[:2]) == self.input_shape:
            return np.ascontiguousarray(values.transpose(0, 3, 1, 2))
        if prod(shape) == prod(self.input_shape) and 1 in (len(shape), len(self.input_shape)):
            return values.reshape(-1, *self.input_shape)
        raise WrongInputError(
            f"The data holds inputs of {_sizes(shape)}, {self.path} takes "
            f"{_sizes(self.input_shape)}. Give the data that the model was made for."
        )


def read_own(path: Path) -> OwnModel:
    """Read what a float file takes.

    Raises:
        WrongInputError: there is no such file.
        UnsupportedModelError: it is damaged, quantised already, or takes anything but one float
            tensor of fixed size.
    """
    try:
        graph = onnx.load(path).graph
    except OSError as error:
        raise WrongInputError(f"There is no model file {path}. Give a float .onnx file.") from error
    except Exception as error:
        raise UnsupportedModelError(
            f"{path} is not a readable ONNX file. Give a float .onnx file to --calibrate."
        ) from error
    if any(node.op_type in (QUANTISE, DEQUANTISE) for node in graph.node):
        raise UnsupportedModelError(f"{path} is quantised already. Leave out --calibrate.")
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [tensor for tensor in graph.input if tensor.name not in constants]
    if len(inputs) != 1 or inputs[0].type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        names = ", ".join(tensor.name for tensor in inputs) or "none"
        raise UnsupportedModelError(
            f"{path} must take one float tensor; its inputs are: {names}. Export one input only."
        )
    batch, *shape = [size.dim_value for size in inputs[0].type.tensor_type.shape.dim] or [0]
    if not shape or not all(shape):
        raise UnsupportedModelError(
            f"the input {inputs[0].name} of {path} has no fixed size. Export it with fixed sizes."
        )
    return OwnModel(path, inputs[0].name, tuple(shape), batch or None)


def quantise_own(
    model: OwnModel, inputs: NDArray[np.float32], pixels: bool, quantised_path: Path
) -> None:
    """Quantise to int8 in QuantizeLinear/DequantizeLinear form.

    `inputs` are as the model takes them, some hundred of what it will see; with `pixels` they are
    images in [0, 1].

    Raises:
        UnsupportedModelError: the file cannot be quantised, or an operator has no int8 form.
    """
    with tempfile.TemporaryDirectory(prefix="automcu-") as folder, quiet_onnxruntime():
        folded = Path(folder, "folded.onnx")
        try:
            onnx.save(_with_per_channel_scales(onnx.load(model.path)), folded)
            quant_pre_process(str(folded), str(folded), skip_symbolic_shape=True)
        except Exception as error:
            raise UnsupportedModelError(
                f"{model.path} cannot be prepared for quantisation ({_first_line(error)}). "
                "Export it again with a newer opset."
            ) from error
        batch = model.batch or CALIBRATION_BATCH
        whole = len(inputs) // batch * batch
        if not whole:
            raise WrongInputError(
                f"{model.path} takes {batch} inputs at once, the data has {len(inputs)}. Give more."
            )
        quantised = quantised_model(folded, model.input_name, inputs[:whole], batch, pixels)
    write_atomically(quantised_path, quantised.SerializeToString())


def _with_per_channel_scales(model: onnx.ModelProto) -> onnx.ModelProto:
    version = max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if version >= _PER_CHANNEL_OPSET:
        return model
    return version_converter.convert_version(model, _TARGET_OPSET)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__


def _sizes(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))

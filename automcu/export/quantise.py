"""Post-training quantisation with onnxruntime: float ONNX in, QDQ ONNX out, and how good each is.

Operators that would still compute in floating point are found and refused. Quantisation to int8
turns the weights of a ternary channel into -127, 0 and 127, as it does not know that there is
nothing in between; they are written as -1, 0 and 1, as the compiler's ternary kernels want them,
and the scale takes over the factor. Warnings, which onnxruntime prints for every model, are hidden.
"""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from automcu.compiler.fixed_point import INT8_MIN, needs_wide_sum
from automcu.compiler.read.arrange import TERNARY_FROM
from automcu.datasets.record import Dataset, Split
from automcu.errors import UnsupportedModelError, WrongInputError
from automcu.export.float_onnx import INPUT
from automcu.records import scratch_folder, write_atomically

QUANTISE = "QuantizeLinear"
DEQUANTISE = "DequantizeLinear"
FLOAT_TYPES = frozenset(
    {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE}
)


def float_islands(model: ModelProto) -> list[str]:
    """Return the names of operators with a float input or output that is not quantised.

    Each operator must take its data from DequantizeLinear and hand it to QuantizeLinear only; what
    the graph returns must be dequantised. Parameters may be constant integers, such as a target
    shape, or single numbers, such as the bounds of a Clip.
    """
    graph = model.graph
    producers = {name: node.op_type for node in graph.node for name in node.output}
    consumers: dict[str, set[str]] = {tensor.name: {"output"} for tensor in graph.output}
    for node in graph.node:
        for name in node.input:
            consumers.setdefault(name, set()).add(node.op_type)
    parameters = _parameters(graph)

    def takes_quantised(name: str) -> bool:
        return not name or name in parameters or producers.get(name) == DEQUANTISE

    return [
        node.name
        for node in graph.node
        if node.op_type not in (QUANTISE, DEQUANTISE)
        and not (
            all(takes_quantised(name) for name in node.input)
            and all(consumers.get(name) == {QUANTISE} for name in node.output)
        )
    ]


def _parameters(graph: GraphProto) -> set[str]:
    return {
        tensor.name
        for tensor in graph.initializer
        if tensor.data_type not in FLOAT_TYPES or not tensor.dims
    }


INPUT_SCALE = 1 / 255
INPUT_ZERO_POINT = -128
"""With these, the int8 input is the 8-bit pixel minus 128."""

CALIBRATION_BATCH = 64
_CALIBRATION_INPUTS = 512

SMALLEST_RANGE = 1e-4
"""A ReLU that is never active has range 0. onnxruntime would give it zero point 0, and, as it has
removed the operator and relies on saturation at the zero point, let negative values pass."""

COARSEST_OPERAND = 31.0
"""Of a sum, in steps of its result: below what takes a wide sum (`needs_wide_sum`)."""

_Scales = dict[str, list[dict[str, Any]]]


def calibration_inputs(data: Dataset) -> NDArray[np.float32]:
    """Return inputs spread evenly over the training split, so that all classes are among them."""
    step = max(1, len(data.train.labels) // _CALIBRATION_INPUTS)
    return data.train.inputs[::step][:_CALIBRATION_INPUTS]


class _Batches(CalibrationDataReader):  # type: ignore[misc]
    """Feeds onnxruntime's calibrator, whose interface is this base class."""

    def __init__(self, name: str, inputs: NDArray[np.float32], batch: int) -> None:
        self._name = name
        starts = range(0, len(inputs), batch)
        self._batches = iter([inputs[start : start + batch] for start in starts])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Return the next feed, or None at the end."""
        batch = next(self._batches, None)
        return None if batch is None else {self._name: batch}


def quantise_onnx(
    float_path: Path, calibration_inputs_nhwc: NDArray[np.float32], quantised_path: Path
) -> None:
    """Quantise a file that `export_onnx` wrote, to int8 in QuantizeLinear/DequantizeLinear form.

    Activations are int8 per tensor with a zero point, weights int8 symmetric per output channel,
    biases int32 at input scale times weight scale. The input has scale 1/255 and zero point -128.
    Ranges are the smallest and largest values that occur on `calibration_inputs_nhwc` (float32
    [n, height, width, channels] in [0, 1]; a few hundred training images).

    Raises:
        WrongInputError: calibration images that do not match the network.
        UnsupportedModelError: the file cannot be read, or an operator has no int8 form.
    """
    _check_calibration_inputs(calibration_inputs_nhwc, _input_shape(float_path))
    inputs = np.ascontiguousarray(calibration_inputs_nhwc.transpose(0, 3, 1, 2), dtype=np.float32)
    model = quantised_model(float_path, INPUT, inputs, CALIBRATION_BATCH, pixels=True)
    write_atomically(quantised_path, model.SerializeToString())


def quantised_model(
    float_path: Path, name: str, inputs: NDArray[np.float32], batch: int, pixels: bool
) -> onnx.ModelProto:
    """Quantise any float file; `inputs` are fed to its input `name` in the layout that it takes.

    With `pixels` the input is an image in [0, 1] and gets the scale of 8-bit pixels; otherwise its
    range is that of `inputs`.

    Raises:
        UnsupportedModelError: the file cannot be quantised, or an operator has no int8 form.
    """
    with scratch_folder() as folder, quiet_onnxruntime():
        prepared, quantised = folder / "prepared.onnx", folder / "quantised.onnx"
        quant_pre_process(
            str(float_path), str(prepared), skip_optimization=True, skip_symbolic_shape=True
        )
        scales = _fixed_scale(name, INPUT_SCALE, INPUT_ZERO_POINT) if pixels else {}
        sums = sum(node.op_type == "Add" for node in onnx.load(prepared).graph.node)
        for _ in range(sums + 1):  # a coarser sum may be an operand that is too coarse for the next
            quantize_static(
                prepared,
                quantised,
                _Batches(name, inputs, batch),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
                extra_options={
                    "ForceQuantizeNoInputCheck": True,
                    "MinimumRealRange": SMALLEST_RANGE,
                    "TensorQuantOverrides": dict(scales),
                },
            )
            model = onnx.load(quantised)
            coarser = _coarser_sums(model)
            if not coarser:
                break
            scales |= coarser
    islands = float_islands(model)
    if islands:
        raise UnsupportedModelError(
            f"{', '.join(islands)} cannot be quantised to int8. "
            "Replace these layers by ones that can."
        )
    return model


def _coarser_sums(model: onnx.ModelProto) -> _Scales:
    """Scales for sums of which an operand is far coarser than the result, none where all are right.

    Steps that are finer than `COARSEST_OPERAND` says hold only the operand's rounding, and take
    arithmetic that convolutions, which compute most sums on their way, do not have.
    """
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    quantised = {node.input[0]: node for node in model.graph.node if node.op_type == QUANTISE}
    dequantised = {
        node.output[0]: constants[node.input[1]]
        for node in model.graph.node
        if node.op_type == DEQUANTISE
    }
    found: _Scales = {}
    for node in model.graph.node:
        if node.op_type != "Add" or node.output[0] not in quantised:
            continue
        _, scale_name, zero_point_name = quantised[node.output[0]].input
        scale, zero_point = float(constants[scale_name]), int(constants[zero_point_name])
        largest = max(float(np.max(dequantised.get(name, 0.0))) for name in node.input)
        wanted = largest / COARSEST_OPERAND
        if needs_wide_sum(largest / scale):
            # The least value keeps an integer; a ReLU that was left out, the one that stands for 0.
            moved = INT8_MIN + math.ceil((zero_point - INT8_MIN) * scale / wanted)
            found |= _fixed_scale(node.output[0], wanted, moved)
    return found


def _fixed_scale(name: str, scale: float, zero_point: int) -> _Scales:
    return {
        name: [
            {
                "quant_type": QuantType.QInt8,
                "scale": np.array(scale, dtype=np.float32),
                "zero_point": np.array(zero_point, dtype=np.int8),
            }
        ]
    }


def _input_shape(path: Path) -> tuple[int, int, int]:
    """Return height, width, channels of the file's input."""
    try:
        graph = onnx.load(path).graph
    except Exception as error:
        raise UnsupportedModelError(
            f"{path} is not a readable ONNX file. Export the network again."
        ) from error
    sizes = [
        [size.dim_value for size in tensor.type.tensor_type.shape.dim]
        for tensor in graph.input
        if tensor.name == INPUT
    ]
    if len(sizes) != 1 or len(sizes[0]) != 4:
        raise UnsupportedModelError(
            f"{path} has no image input called {INPUT!r}. Export the network with export_onnx."
        )
    _, channels, height, width = sizes[0]
    return height, width, channels


def _check_calibration_inputs(inputs: NDArray[np.float32], expected: tuple[int, int, int]) -> None:
    if inputs.ndim != 4 or len(inputs) == 0 or inputs.shape[1:] != expected:
        raise WrongInputError(
            f"Calibration images have shape {list(inputs.shape)}, the network takes "
            f"[n, {', '.join(map(str, expected))}]. Give images of that size."
        )
    if not (float(inputs.min()) >= 0 and float(inputs.max()) <= 1):
        raise WrongInputError(
            f"Calibration images run from {inputs.min():g} to {inputs.max():g}. Scale them to 0..1."
        )


_WEIGHTS = 1  # of a convolution's inputs


def write_ternary_weights(path: Path) -> None:
    """Rewrite every convolution of `path` whose channels have one magnitude; others stay.

    So do those of so few weights that the compiler does not take them for ternary. The real
    weights, and so what the file computes, stay the same.
    """
    model = onnx.load(path)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    producers = {name: node for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        source = producers.get(node.input[_WEIGHTS]) if node.op_type == "Conv" else None
        if source is not None and source.op_type == DEQUANTISE and _in_one_group(node):
            weights, scales = (constants.get(name) for name in source.input[:2])
            if weights is not None and scales is not None:
                _rewrite(weights, scales)
    write_atomically(path, model.SerializeToString())


def _in_one_group(node: NodeProto) -> bool:
    return all(one.name != "group" or one.i == 1 for one in node.attribute)


def _rewrite(weights: TensorProto, scales: TensorProto) -> None:
    """In place, where all weights of each channel have the same magnitude or are 0."""
    values = numpy_helper.to_array(weights).astype(np.int64)
    if values.size < TERNARY_FROM:
        return
    rows = np.abs(values.reshape(len(values), -1))
    largest = np.maximum(rows.max(axis=1), 1)
    factors = numpy_helper.to_array(scales)
    if not ((rows == 0) | (rows == largest[:, None])).all() or factors.shape != largest.shape:
        return
    _store(weights, np.sign(values).astype(np.int8))
    _store(scales, (factors * largest).astype(np.float32))


def _store(tensor: TensorProto, values: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> None:
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


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

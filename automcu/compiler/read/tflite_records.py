"""The tables of a TFLite file as plain records, every length checked before it is used.

A flatbuffer holds offsets, and a damaged one points anywhere: readers of the `tflite` package then
raise struct.error, TypeError, ValueError or AttributeError, which the caller turns into a message.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

from automcu.compiler.graph import Quantisation
from automcu.compiler.read.builder import Constant, dequantised
from automcu.compiler.read.file_tensor import MOST_ELEMENTS, checked_quantisation
from automcu.compiler.read.node import UINT8_OFFSET
from automcu.errors import UnsupportedModelError

_MOST_ENTRIES = 20_000  # tensors, operators, buffers or operator codes
_MOST_AXES = 8
_MOST_SCALES = 1 << 16
_MISSING = -1
_NIBBLE = 4

_KINDS = {
    value: name
    for name, value in vars(tflite.BuiltinOperator).items()
    if not name.startswith("_") and isinstance(value, int)
}
_TYPES: dict[int, str] = {
    tflite.TensorType.FLOAT32: "<f4",
    tflite.TensorType.FLOAT16: "<f2",
    tflite.TensorType.INT32: "<i4",
    tflite.TensorType.UINT8: "|u1",
    tflite.TensorType.INT64: "<i8",
    tflite.TensorType.INT16: "<i2",
    tflite.TensorType.INT8: "|i1",
    tflite.TensorType.BOOL: "|b1",
}


@dataclass(frozen=True, eq=False)
class TensorRecord:
    """A tensor of the file; `data` where it is stored, `scales` where it is quantised."""

    name: str
    shape: tuple[int, ...]
    kind: str
    data: NDArray[np.generic] | None
    scales: NDArray[np.float64]
    zero_points: NDArray[np.int64]
    axis: int


@dataclass(frozen=True, eq=False)
class LayerRecord:
    """An operator of the file; `options` is the table of its kind's settings, or None."""

    kind: str
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any

    def has_input(self, position: int) -> bool:
        """Whether an optional input is given."""
        return len(self.inputs) > position and self.inputs[position] != _MISSING


@dataclass(frozen=True, eq=False)
class ModelRecord:
    """The main graph of a file."""

    tensors: tuple[TensorRecord, ...]
    layers: tuple[LayerRecord, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_records(content: bytes) -> ModelRecord:
    """The records of a file's first graph."""
    model = tflite.Model.GetRootAs(content, 0)
    if _length(model.SubgraphsLength) < 1:
        raise ValueError("it has no graph")
    graph = model.Subgraphs(0)
    buffers = _length(model.BuffersLength)
    codes = [
        _kind(model.OperatorCodes(index)) for index in range(_length(model.OperatorCodesLength))
    ]
    tensors = tuple(
        _tensor(model, graph.Tensors(index), index, buffers)
        for index in range(_length(graph.TensorsLength))
    )
    layers = tuple(
        _layer(graph.Operators(index), index, codes, tensors)
        for index in range(_length(graph.OperatorsLength))
    )
    inputs = _indices(graph.InputsLength, graph.InputsAsNumpy, len(tensors))
    outputs = _indices(graph.OutputsLength, graph.OutputsAsNumpy, len(tensors))
    return ModelRecord(tensors, layers, inputs, outputs)


def tensor_quantisation(record: TensorRecord, name: str) -> Quantisation:
    """The quantisation of an activation of the file.

    Raises:
        UnsupportedModelError: it is not int8 or uint8, or has a scale for each channel.
    """
    if record.kind not in ("int8", "uint8") or record.scales.size == 0:
        raise UnsupportedModelError(
            f"{name} computes in {record.kind}; only int8 and uint8 can be compiled. Convert the "
            "model with full integer quantisation (TFLITE_BUILTINS_INT8, a representative dataset)."
        )
    if record.scales.size != 1 or record.zero_points.size != 1:
        raise UnsupportedModelError(
            f"{name} has a scale for each channel of an activation. Convert the model again."
        )
    offset = UINT8_OFFSET if record.kind == "uint8" else 0
    return checked_quantisation(float(record.scales[0]), int(record.zero_points[0]) - offset, name)


def stored_constant(record: TensorRecord) -> Constant:
    """What a tensor that the file stores holds, less its zero point."""
    assert record.data is not None
    if record.scales.size == 0:
        return Constant(record.data)
    limits = np.iinfo(str(record.data.dtype))
    outside = (record.zero_points < limits.min) | (record.zero_points > limits.max)
    if outside.any():
        raise UnsupportedModelError(
            f"{record.name!r} has a zero point of {int(record.zero_points[outside][0])}, which is "
            f"no {record.data.dtype}. Convert the model again."
        )
    name = repr(record.name)
    return dequantised(record.data, record.scales, record.zero_points, record.axis, name)


def _length(read: Callable[[], int]) -> int:
    length = read()
    if length > _MOST_ENTRIES:
        raise ValueError(f"it claims {length} entries where a small model has hundreds")
    return length


def _indices(length: Callable[[], int], read: Callable[[], Any], tensors: int) -> tuple[int, ...]:
    """Indices of tensors, -1 for an input that is left out."""
    indices = tuple(int(index) for index in read()) if _length(length) else ()
    if any(not _MISSING <= index < tensors for index in indices):
        raise ValueError(f"a tensor number in {indices} is out of range")
    return indices


def _kind(code: Any) -> str:
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    custom = code.CustomCode()
    return f"custom {custom!r}" if custom else _KINDS.get(number, f"operator {number}")


def _layer(
    table: Any, index: int, codes: list[str], tensors: tuple[TensorRecord, ...]
) -> LayerRecord:
    kind = codes[table.OpcodeIndex()]
    inputs = _indices(table.InputsLength, table.InputsAsNumpy, len(tensors))
    outputs = _indices(table.OutputsLength, table.OutputsAsNumpy, len(tensors))
    name = tensors[outputs[0]].name if outputs and outputs[0] != _MISSING else f"{kind}_{index}"
    return LayerRecord(kind, _short(name), inputs, outputs, _options(table))


def _short(name: str) -> str:
    """A converter joins the names of all it fused: the last of them says what the layer is."""
    return name.rsplit(";", 1)[-1] or name


def _options(table: Any) -> Any:
    union = table.BuiltinOptions()
    names = {
        value: name
        for name, value in vars(tflite.BuiltinOptions).items()
        if not name.startswith("_")
    }
    name = names.get(table.BuiltinOptionsType())
    if union is None or name is None or name == "NONE":
        return None
    options = getattr(tflite, name)()
    options.Init(union.Bytes, union.Pos)
    return options


def _tensor(model: Any, table: Any, index: int, buffers: int) -> TensorRecord:
    raw = table.Name()
    name = raw.decode("utf-8", "replace") if raw else f"tensor_{index}"
    if table.ShapeLength() > _MOST_AXES:
        raise ValueError(f"{name} has {table.ShapeLength()} axes")
    shape = tuple(int(size) for size in table.ShapeAsNumpy()) if table.ShapeLength() else ()
    if min(shape, default=1) < 0 or prod(shape) > MOST_ELEMENTS:
        raise ValueError(f"{name} has the shape {shape}")
    scales, zero_points, axis = _quantisation(table.Quantization(), name)
    kind = table.Type()
    data = None
    if table.Buffer() >= buffers:
        raise ValueError(f"{name} is in buffer {table.Buffer()} of {buffers}")
    content = model.Buffers(table.Buffer())
    if table.Buffer() and content.DataLength():
        if table.Sparsity() is not None:
            raise UnsupportedModelError(
                f"{name} is stored as a sparse matrix. Convert the model without sparsity."
            )
        data = _array(content.DataAsNumpy(), kind, shape, name)
    named = {tflite.TensorType.INT4: "int4"} | {k: np.dtype(v).name for k, v in _TYPES.items()}
    return TensorRecord(
        name, shape, named.get(kind, f"type {kind}"), data, scales, zero_points, axis
    )


def _quantisation(table: Any, name: str) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
    if table is None or not table.ScaleLength():
        return np.zeros(0), np.zeros(0, np.int64), 0
    if max(table.ScaleLength(), table.ZeroPointLength()) > _MOST_SCALES:
        raise ValueError(f"{name} has {table.ScaleLength()} scales")
    scales = np.asarray(table.ScaleAsNumpy()).astype(np.float64)
    zero_points = np.zeros(1, np.int64)
    if table.ZeroPointLength():
        zero_points = np.asarray(table.ZeroPointAsNumpy()).astype(np.int64)
    return scales, zero_points, int(table.QuantizedDimension())


def _array(
    content: NDArray[np.uint8], kind: int, shape: tuple[int, ...], name: str
) -> NDArray[np.generic]:
    size = prod(shape)
    if kind == tflite.TensorType.INT4:
        low, high = content & 0xF, content >> _NIBBLE
        values = np.stack([low, high], axis=-1).reshape(-1)[:size].astype(np.int8)
        values = np.where(values >= 1 << (_NIBBLE - 1), values - (1 << _NIBBLE), values)
        return values.astype(np.int8).reshape(shape)
    if kind not in _TYPES:
        raise UnsupportedModelError(
            f"{name} is of a type that cannot be compiled. Convert the model to int8."
        )
    dtype = np.dtype(_TYPES[kind])
    if content.size != size * dtype.itemsize:
        raise ValueError(f"{name} has {content.size} bytes for {size} values")
    return np.frombuffer(content.tobytes(), dtype).reshape(shape)

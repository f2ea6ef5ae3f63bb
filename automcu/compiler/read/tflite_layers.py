"""The tables of a TFLite file as plain records, every length checked before use, and its layers.

A flatbuffer holds offsets, and a damaged one points anywhere: readers of the `tflite` package then
raise struct.error, TypeError, ValueError or AttributeError, which the caller turns into a message.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, prod
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

from automcu.compiler.graph import Quantisation
from automcu.compiler.read.builder import Constant, dequantised
from automcu.compiler.read.file_tensor import MOST_ELEMENTS, checked_quantisation, positive_axis
from automcu.compiler.read.node import UINT8_OFFSET, ImportContext, Node
from automcu.compiler.tensor import NO_CLAMP, Clamp
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


_FUSED: dict[int, Clamp] = {
    tflite.ActivationFunctionType.NONE: NO_CLAMP,
    tflite.ActivationFunctionType.RELU: (0.0, inf),
    tflite.ActivationFunctionType.RELU_N1_TO_1: (-1.0, 1.0),
    tflite.ActivationFunctionType.RELU6: (0.0, 6.0),
}
_MOST_VALUES = 64  # of a shape, or of what becomes part of one
_Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Layer:
    """A layer of a file and the graph so far. Tensors go by their number in the file, as text."""

    record: LayerRecord
    model: ModelRecord
    context: ImportContext

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.record.name

    def setting(self, name: str, usual: Any = 0) -> Any:
        """A setting from the layer's options; `usual` where the file leaves them all out."""
        options = self.record.options
        return usual if options is None else getattr(options, name)()

    def tensor(self, position: int) -> TensorRecord:
        """The file's record of an input."""
        if not self.record.has_input(position):
            raise ValueError(f"its input {position} is missing")
        return self.model.tensors[self.record.inputs[position]]

    def is_constant(self, position: int) -> bool:
        """Whether an input is stored in the file, or was computed from shapes alone."""
        if not self.record.has_input(position):
            return False
        name = str(self.record.inputs[position])
        return name in self.context.builder.constants or self.tensor(position).data is not None

    def constant(self, position: int) -> Constant:
        """An input that is stored in the file, less its zero point; nodes may read it from now."""
        name, record = str(self.record.inputs[position]), self.tensor(position)
        constants = self.context.builder.constants
        if name not in constants and record.data is not None:
            constants[name] = stored_constant(record)
        return self.context.builder.constant(name, self.name)

    def integers(self, position: int) -> tuple[int, ...]:
        """Axes, sizes and the like."""
        values = self.constant(position).values
        return tuple(int(value) for value in np.asarray(values).reshape(-1))

    def computed(self, position: int = 0) -> str:
        """The name of an input that has to be computed."""
        self.tensor(position)
        name, builder = str(self.record.inputs[position]), self.context.builder
        if name not in builder.activations and self.is_constant(position):
            raise builder.constant_refused(name, self.name)
        builder.activation(name, self.name)
        return name

    def operand(self, position: int) -> str:
        """The name of an input, computed or stored."""
        if self.is_constant(position):
            self.constant(position)
            return str(self.record.inputs[position])
        return self.computed(position)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of what is computed."""
        return self.context.builder.activations[name].view.shape

    def axis(self, rank: int) -> int:
        """The axis that the options name."""
        return positive_axis(self.setting("Axis"), rank)

    def clamp(self) -> Clamp:
        """The activation that the layer applies to its own result."""
        kind = self.setting("FusedActivationFunction")
        if kind not in _FUSED:
            raise UnsupportedModelError(
                f"layer {self.name} ends in an activation that cannot be fused. Use ReLU or ReLU6."
            )
        return _FUSED[kind]

    def quantisation(self, position: int = 0) -> Quantisation:
        """The quantisation of an output."""
        record = self.model.tensors[self.record.outputs[position]]
        return tensor_quantisation(record, f"layer {self.name}")

    def node(
        self,
        kind: str,
        inputs: Sequence[str],
        settings: Mapping[str, Any],
        outputs: tuple[str, ...],
        clamp: Clamp = NO_CLAMP,
        quantisations: tuple[Quantisation | None, ...] = (),
    ) -> Node:
        """A node that computes part of the layer."""
        own = self.record.kind
        return Node(
            kind, self.name, tuple(inputs), outputs, settings, None, own, clamp, quantisations
        )

    def last_node(
        self,
        kind: str,
        inputs: Sequence[str],
        settings: Mapping[str, Any] | None = None,
        clamp: Clamp = NO_CLAMP,
        outputs: Sequence[int] | None = None,
    ) -> Node:
        """The node that computes the layer's results (these of them), on their scales."""
        given = range(len(self.record.outputs)) if outputs is None else outputs
        records = [self.model.tensors[self.record.outputs[position]] for position in given]
        stated = tuple(
            None if record.kind == "float32" else self.quantisation(position)
            for position, record in zip(given, records, strict=True)
        )
        names = tuple(str(self.record.outputs[position]) for position in given)
        return self.node(kind, inputs, settings or {}, names, clamp, stated)

    def computing_node(
        self, kind: str, inputs: Sequence[str], settings: Mapping[str, Any], clamp: Clamp = NO_CLAMP
    ) -> Node:
        """The same of a layer whose result has to be quantised, as it is computed on its scale."""
        self.quantisation()
        return self.last_node(kind, inputs, settings, clamp)

    def part(self, name: str) -> str:
        """A name for what a node computes on the way to the first result."""
        return f"{self.record.outputs[0]}/{name}"


def fold(layer: Layer) -> bool:
    """Compute the layer if it is integer arithmetic on shapes; return whether it was.

    Keras models compute the shape of a Reshape from that of its input; all of it is known here.
    """
    record = layer.record
    if record.kind not in FOLDED_KINDS:
        return False
    given = [position for position in range(len(record.inputs)) if record.has_input(position)]
    if not all(_is_plain_constant(layer, position) for position in given):
        return False
    values = [np.asarray(layer.constant(i).values).astype(np.int64) for i in given]
    if sum(value.size for value in values) > _MOST_VALUES:
        return False
    result = FOLDED_KINDS[record.kind](layer, values)
    layer.context.builder.constants[str(record.outputs[0])] = Constant(result)
    return True


def _is_plain_constant(layer: Layer, position: int) -> bool:
    """Whether an input is a constant of integers that stand for themselves."""
    record = layer.tensor(position)
    is_plain = record.kind in ("int32", "int64") and record.scales.size == 0
    return layer.is_constant(position) and is_plain


def _folded_strided_slice(layer: Layer, values: list[_Integers]) -> _Integers:
    vector, (begin,), (end,), (step,) = (value.reshape(-1) for value in values)
    if layer.setting("ShrinkAxisMask") & 1:
        return np.asarray(vector[begin])
    first = None if layer.setting("BeginMask") & 1 else int(begin)
    last = None if layer.setting("EndMask") & 1 else int(end)
    return np.asarray(vector[first : last : int(step)])


def _floor_divide(layer: Layer, values: list[_Integers]) -> _Integers:
    if np.any(values[1] == 0):
        raise ValueError("a division by zero")
    return np.asarray(values[0] // values[1])


FOLDED_KINDS: dict[str, Callable[[Layer, list[_Integers]], _Integers]] = {
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
    "STRIDED_SLICE": _folded_strided_slice,
    "SUB": lambda layer, values: np.subtract(values[0], values[1]),
}

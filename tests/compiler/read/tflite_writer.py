"""TFLite files of a few layers, written table by table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
import tflite
from numpy.typing import NDArray

_TYPES = {
    "int4": tflite.TensorType.INT4,
    "int8": tflite.TensorType.INT8,
    "uint8": tflite.TensorType.UINT8,
    "int32": tflite.TensorType.INT32,
    "float32": tflite.TensorType.FLOAT32,
}

_VERSIONS = {"BROADCAST_TO": 2}  # the first that LiteRT has


@dataclass
class _Tensor:
    shape: tuple[int, ...]
    kind: str
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    axis: int = 0
    data: bytes = b""


@dataclass
class _Layer:
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: tuple[str, Mapping[str, Any]] | None


@dataclass
class TfliteWriter:
    """Tensors go by their number."""

    tensors: list[_Tensor] = field(default_factory=list)
    layers: list[_Layer] = field(default_factory=list)

    def activation(
        self, shape: tuple[int, ...], scale: float, zero_point: int, kind: str = "int8"
    ) -> int:
        """A tensor that is computed; quantised if it is of 8 bits."""
        scales = () if kind in ("float32", "int32") else (scale,)
        self.tensors.append(_Tensor(shape, kind, scales, (zero_point,)))
        return len(self.tensors) - 1

    def constant(
        self,
        values: NDArray[np.generic],
        scales: Sequence[float] = (),
        zero_points: Sequence[int] = (0,),
        axis: int = 0,
    ) -> int:
        """A stored tensor; without scales its values stand for themselves."""
        points = tuple(zero_points) * (len(scales) if len(zero_points) == 1 else 1)
        self.tensors.append(
            _Tensor(
                values.shape,
                values.dtype.name,
                tuple(scales),
                points if scales else (),
                axis,
                np.ascontiguousarray(values).tobytes(),
            )
        )
        return len(self.tensors) - 1

    def nibbles(self, values: NDArray[np.int8], scales: Sequence[float], axis: int = 0) -> int:
        """Weights of 4 bits, two to a byte, the first in the low half."""
        number = self.constant(values, scales, axis=axis)
        flat = values.reshape(-1).astype(np.uint8) & 0xF
        padded = np.append(flat, np.zeros(flat.size % 2, np.uint8))
        packed = padded[::2] | padded[1::2] << 4
        self.tensors[number].kind, self.tensors[number].data = "int4", packed.tobytes()
        return number

    def layer(
        self,
        kind: str,
        inputs: Sequence[int],
        outputs: int | Sequence[int],
        options: str = "",
        **settings: Any,
    ) -> None:
        """An operator; `options` is the table of its settings."""
        written = (outputs,) if isinstance(outputs, int) else tuple(outputs)
        chosen = (options, settings) if options else None
        self.layers.append(_Layer(kind, tuple(inputs), written, chosen))

    def content(self, source: int, result: int) -> bytes:
        """The file with one input and one output."""
        builder = flatbuffers.Builder(1024)
        buffers = [_buffer(builder, b"")]
        tensors = []
        for number, tensor in enumerate(self.tensors):
            place = 0
            if tensor.data:
                place = len(buffers)
                buffers.append(_buffer(builder, tensor.data))
            tensors.append(_tensor(builder, tensor, f"tensor_{number}", place))
        kinds = sorted({layer.kind for layer in self.layers})
        layers = [_layer(builder, layer, kinds.index(layer.kind)) for layer in self.layers]
        codes = [_code(builder, kind) for kind in kinds]
        graph = _graph(builder, tensors, layers, source, result)
        parts = {
            "Subgraphs": _offsets(builder, [graph]),
            "Buffers": _offsets(builder, buffers),
            "OperatorCodes": _offsets(builder, codes),
        }
        tflite.ModelStart(builder)
        tflite.ModelAddVersion(builder, 3)
        for name, offset in parts.items():
            getattr(tflite, f"ModelAdd{name}")(builder, offset)
        builder.Finish(tflite.ModelEnd(builder), b"TFL3")
        return bytes(builder.Output())


def _offsets(builder: Any, items: list[int]) -> int:
    builder.StartVector(4, len(items), 4)
    for item in reversed(items):
        builder.PrependUOffsetTRelative(item)
    return int(builder.EndVector())


def _numbers(builder: Any, values: Sequence[float], dtype: str) -> int:
    return int(builder.CreateNumpyVector(np.array(values, dtype)))


def _buffer(builder: Any, data: bytes) -> int:
    vector = None
    if data:
        builder.StartVector(1, len(data), 16)
        builder.head -= len(data)
        builder.Bytes[builder.head : builder.head + len(data)] = data
        vector = builder.EndVector()
    tflite.BufferStart(builder)
    if vector is not None:
        tflite.BufferAddData(builder, vector)
    return int(tflite.BufferEnd(builder))


def _tensor(builder: Any, tensor: _Tensor, name: str, buffer: int) -> int:
    title = builder.CreateString(name)
    shape = _numbers(builder, tensor.shape, "int32")
    quantisation = None
    if tensor.scales:
        scales = _numbers(builder, tensor.scales, "float32")
        points = _numbers(builder, tensor.zero_points, "int64")
        tflite.QuantizationParametersStart(builder)
        tflite.QuantizationParametersAddScale(builder, scales)
        tflite.QuantizationParametersAddZeroPoint(builder, points)
        tflite.QuantizationParametersAddQuantizedDimension(builder, tensor.axis)
        quantisation = tflite.QuantizationParametersEnd(builder)
    tflite.TensorStart(builder)
    tflite.TensorAddName(builder, title)
    tflite.TensorAddShape(builder, shape)
    tflite.TensorAddType(builder, _TYPES[tensor.kind])
    tflite.TensorAddBuffer(builder, buffer)
    if quantisation is not None:
        tflite.TensorAddQuantization(builder, quantisation)
    return int(tflite.TensorEnd(builder))


def _code(builder: Any, kind: str) -> int:
    number = getattr(tflite.BuiltinOperator, kind)
    tflite.OperatorCodeStart(builder)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(builder, min(number, 127))
    tflite.OperatorCodeAddBuiltinCode(builder, number)
    tflite.OperatorCodeAddVersion(builder, _VERSIONS.get(kind, 1))
    return int(tflite.OperatorCodeEnd(builder))


def _layer(builder: Any, layer: _Layer, code: int) -> int:
    inputs = _numbers(builder, layer.inputs, "int32")
    outputs = _numbers(builder, layer.outputs, "int32")
    options = None
    if layer.options is not None:
        name, settings = layer.options
        vectors = {
            key: _numbers(builder, value, "int32")
            for key, value in settings.items()
            if isinstance(value, tuple)
        }
        getattr(tflite, f"{name}Start")(builder)
        for key, value in settings.items():
            getattr(tflite, f"{name}Add{key}")(builder, vectors.get(key, value))
        options = getattr(tflite, f"{name}End")(builder)
    tflite.OperatorStart(builder)
    tflite.OperatorAddOpcodeIndex(builder, code)
    tflite.OperatorAddInputs(builder, inputs)
    tflite.OperatorAddOutputs(builder, outputs)
    if options is not None and layer.options is not None:
        kind = getattr(tflite.BuiltinOptions, layer.options[0])
        tflite.OperatorAddBuiltinOptionsType(builder, kind)
        tflite.OperatorAddBuiltinOptions(builder, options)
    return int(tflite.OperatorEnd(builder))


def _graph(builder: Any, tensors: list[int], layers: list[int], source: int, result: int) -> int:
    parts = {
        "Tensors": _offsets(builder, tensors),
        "Inputs": _numbers(builder, [source], "int32"),
        "Outputs": _numbers(builder, [result], "int32"),
        "Operators": _offsets(builder, layers),
    }
    tflite.SubGraphStart(builder)
    for name, offset in parts.items():
        getattr(tflite, f"SubGraphAdd{name}")(builder, offset)
    return int(tflite.SubGraphEnd(builder))

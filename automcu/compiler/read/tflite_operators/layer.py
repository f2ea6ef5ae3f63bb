"""One TFLite layer being read: its operands, its settings, its result."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

from automcu.compiler.graph import Quantisation
from automcu.compiler.ops.clamp import NO_CLAMP, Clamp
from automcu.compiler.read.activation import Activation
from automcu.compiler.read.arrange import on_scale
from automcu.compiler.read.builder import (
    GraphBuilder,
    check_scales_of,
    checked_quantisation,
)
from automcu.compiler.read.constant import Constant
from automcu.compiler.read.tflite_operators.records import (
    LayerRecord,
    ModelRecord,
    TensorRecord,
)
from automcu.errors import UnsupportedModelError

_UINT8_OFFSET = 128  # uint8 minus this is the same value as int8
_FUSED: dict[int, Clamp] = {
    tflite.ActivationFunctionType.NONE: NO_CLAMP,
    tflite.ActivationFunctionType.RELU: (0.0, inf),
    tflite.ActivationFunctionType.RELU_N1_TO_1: (-1.0, 1.0),
    tflite.ActivationFunctionType.RELU6: (0.0, 6.0),
}


@dataclass
class Reading:
    """The graph so far. Activations go by the number of the file's tensor, as text."""

    builder: GraphBuilder
    model: ModelRecord
    _constants: dict[int, Constant] = field(default_factory=dict)

    def record(self, layer: LayerRecord, position: int) -> TensorRecord:
        """The file's record of an input."""
        if not layer.has_input(position):
            raise ValueError(f"its input {position} is missing")
        return self.model.tensors[layer.inputs[position]]

    def is_constant(self, layer: LayerRecord, position: int) -> bool:
        """Whether an input is stored in the file, or was computed from shapes alone."""
        if not layer.has_input(position):
            return False
        return (
            layer.inputs[position] in self._constants
            or self.record(layer, position).data is not None
        )

    def is_plain_constant(self, layer: LayerRecord, position: int) -> bool:
        """Whether an input is a constant of integers that stand for themselves."""
        record = self.record(layer, position)
        return (
            self.is_constant(layer, position)
            and record.kind in ("int32", "int64")
            and record.scales.size == 0
        )

    def set_integers(self, layer: LayerRecord, values: NDArray[np.int64]) -> None:
        """State what a layer that computes with shapes results in."""
        self._constants[layer.outputs[0]] = Constant(values)

    def activation(self, layer: LayerRecord, position: int = 0) -> Activation:
        """An input that is computed."""
        record = self.record(layer, position)
        name = str(layer.inputs[position])
        if name not in self.builder.activations and self.is_constant(layer, position):
            raise UnsupportedModelError(
                f"layer {layer.name} takes {record.name!r}, a constant of the file, where only "
                "what is computed from the input can be compiled. Remove it, or make it part of "
                "a layer."
            )
        if name not in self.builder.activations:
            raise UnsupportedModelError(
                f"layer {layer.name} reads {record.name!r}, which no supported layer computes. "
                "Convert the model again with a batch size of 1 and static shapes."
            )
        return self.builder.activations[name]

    def constant(self, layer: LayerRecord, position: int) -> Constant:
        """An input that is stored in the file, less its zero point."""
        record = self.record(layer, position)
        index = layer.inputs[position]
        if index in self._constants:
            return self._constants[index]
        if record.data is None:
            raise UnsupportedModelError(
                f"layer {layer.name} needs {record.name!r} as a constant, but it is computed. "
                "Convert the model with static shapes."
            )
        self._constants[index] = _dequantised(record)
        return self._constants[index]

    def integers(self, layer: LayerRecord, position: int) -> tuple[int, ...]:
        """Axes, sizes and the like."""
        values = self.constant(layer, position).values
        return tuple(int(value) for value in np.asarray(values).reshape(-1))

    def result_record(self, layer: LayerRecord, position: int = 0) -> TensorRecord:
        """The file's record of an output."""
        return self.model.tensors[layer.outputs[position]]

    def result_quantisation(self, layer: LayerRecord, position: int = 0) -> Quantisation:
        """The scale of an output."""
        return tensor_quantisation(self.result_record(layer, position), f"layer {layer.name}")

    def bind(self, layer: LayerRecord, activation: Activation, position: int = 0) -> None:
        """State what an output is; it is put on the scale that the file says, if it says one."""
        if self.result_record(layer, position).kind != "float32":
            quantisation = self.result_quantisation(layer, position)
            activation = on_scale(self.builder, activation, quantisation, layer.name)
        self.builder.bind(str(layer.outputs[position]), activation)


Importer = Callable[[LayerRecord, Reading], None]
OPERATORS: dict[str, Importer] = {}


def operator(*kinds: str) -> Callable[[Importer], Importer]:
    """Register a function as the importer of these TFLite operators."""

    def register(function: Importer) -> Importer:
        OPERATORS.update(dict.fromkeys(kinds, function))
        return function

    return register


def setting(layer: LayerRecord, name: str, usual: Any = 0) -> Any:
    """A setting from the layer's options; `usual` where the file leaves them all out."""
    return usual if layer.options is None else getattr(layer.options, name)()


def fused_clamp(layer: LayerRecord) -> Clamp:
    """The activation that the layer applies to its own result."""
    kind = setting(layer, "FusedActivationFunction")
    if kind not in _FUSED:
        raise UnsupportedModelError(
            f"layer {layer.name} ends in an activation that cannot be fused. Use ReLU or ReLU6."
        )
    return _FUSED[kind]


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
    offset = _UINT8_OFFSET if record.kind == "uint8" else 0
    return checked_quantisation(float(record.scales[0]), int(record.zero_points[0]) - offset, name)


def positive_axis(axis: int, rank: int) -> int:
    """An axis counted from the front."""
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} of a tensor with {rank} axes")
    return axis % rank


def _dequantised(record: TensorRecord) -> Constant:
    assert record.data is not None
    if record.scales.size == 0:
        return Constant(record.data)
    _check_zero_points(record)
    integers = record.data.astype(np.int64)
    axis = 0
    if record.scales.size > 1:
        axis = positive_axis(record.axis, integers.ndim)
        if integers.shape[axis] != record.scales.size:
            raise ValueError(f"{record.scales.size} scales for {integers.shape[axis]} channels")
    integers = integers - _along(record.zero_points, axis, integers.ndim)
    check_scales_of(integers, record.scales, axis, repr(record.name))
    return Constant(integers, record.scales, axis)


def _check_zero_points(record: TensorRecord) -> None:
    assert record.data is not None
    if record.zero_points.size not in (1, record.scales.size):
        raise ValueError(
            f"{record.name!r} has {record.zero_points.size} zero points for "
            f"{record.scales.size} scales"
        )
    limits = np.iinfo(str(record.data.dtype))
    outside = (record.zero_points < limits.min) | (record.zero_points > limits.max)
    if outside.any():
        raise UnsupportedModelError(
            f"{record.name!r} has a zero point of {int(record.zero_points[outside][0])}, which is "
            f"no {record.data.dtype}. Convert the model again."
        )


def _along(values: NDArray[np.int64], axis: int, rank: int) -> NDArray[np.int64]:
    if values.size == 1:
        return values.reshape(())
    shape = [1] * rank
    shape[axis] = -1
    return values.reshape(shape)

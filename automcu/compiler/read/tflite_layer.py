"""One layer of a TFLite file: its operands, settings and results, and shapes computed from it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

from automcu.compiler.graph import Quantisation
from automcu.compiler.read.builder import Constant
from automcu.compiler.read.file_tensor import positive_axis
from automcu.compiler.read.node import ImportContext, Node
from automcu.compiler.read.tflite_records import (
    LayerRecord,
    ModelRecord,
    TensorRecord,
    stored_constant,
    tensor_quantisation,
)
from automcu.compiler.tensor import NO_CLAMP, Clamp
from automcu.errors import UnsupportedModelError

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

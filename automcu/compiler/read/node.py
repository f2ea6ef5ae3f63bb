"""The nodes of a model file, and what is known of the file while they are read in order.

Nodes are ONNX's: what another format holds is translated into them. A reader is a function that
adds to the graph what one kind of node computes; `@reader` registers it.

Those in onnxruntime's operator format (QLinearConv, ...) are rewritten as the layers between
QuantizeLinear and DequantizeLinear.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import AttributeProto, NodeProto, defs, helper

from automcu.compiler.graph import Quantisation
from automcu.compiler.read.arrange import on_scale
from automcu.compiler.read.builder import Activation, Constant, GraphBuilder
from automcu.compiler.tensor import NO_CLAMP, Clamp
from automcu.errors import UnsupportedModelError, with_article

UINT8_OFFSET = 128  # uint8 minus this is the same value as int8
# What a damaged file makes the reading of it raise.
DAMAGE = (
    struct.error,
    ValueError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
)


@dataclass(frozen=True)
class Node:
    """`layer` is its name, or its kind and number; an input or output that is left out is "".

    A layer of another format than ONNX has `own_kind`, its kind there. Its node states what ONNX
    leaves to nodes behind it: the clamp and the quantisation of each of its results.
    """

    kind: str
    layer: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    proto: NodeProto | None = None
    own_kind: str = ""
    clamp: Clamp = NO_CLAMP
    quantisations: tuple[Quantisation | None, ...] = ()

    @property
    def title(self) -> str:
        """What the file calls the kind."""
        return self.own_kind or self.kind

    @property
    def quantisation(self) -> Quantisation | None:
        """That of the first result, where the node states it."""
        return self.quantisations[0] if self.quantisations else None

    def has_input(self, position: int) -> bool:
        """Whether an optional input is given."""
        return len(self.inputs) > position and self.inputs[position] != ""

    def number(self, setting: str, default: float) -> float:
        """An attribute that is a number."""
        return float(self.settings.get(setting, default))

    def word(self, setting: str, default: str) -> str:
        """An attribute that is a word.

        Raises:
            ValueError: the file has another type there.
        """
        value = self.settings.get(setting, default.encode())
        if not isinstance(value, bytes):
            raise ValueError(f"{setting} is {value}")
        return value.decode()


@dataclass
class ImportContext:
    """The graph so far; `consumers` are the nodes that read a name; `opset` the ONNX version.

    `integer_types` are those of activations that are still quantised.
    """

    builder: GraphBuilder
    consumers: Mapping[str, list[Node]]
    opset: int
    integer_inputs: dict[str, int] = field(default_factory=dict)
    integer_types: dict[str, np.dtype[np.generic]] = field(default_factory=dict)

    def activation(self, node: Node, position: int = 0) -> Activation:
        """An input that is computed."""
        return self.builder.activation(node.inputs[position], node.layer)

    def shape(self, node: Node) -> tuple[int, ...]:
        """The shape of the first input, computed or not."""
        if self.is_constant(node, 0):
            return tuple(self.constant(node, 0).values.shape)
        return self.activation(node).view.shape

    def is_constant(self, node: Node, position: int) -> bool:
        """Whether an input is stored in the file."""
        return node.has_input(position) and node.inputs[position] in self.builder.constants

    def constant(self, node: Node, position: int) -> Constant:
        """An input that is stored in the file."""
        return self.builder.constant(node.inputs[position], node.layer)

    def integers(self, node: Node, position: int, setting: str) -> tuple[int, ...] | None:
        """Axes, sizes and the like: an input in newer files, an attribute in older ones."""
        if node.has_input(position):
            values = self.constant(node, position).values
            return tuple(int(value) for value in np.asarray(values).reshape(-1))
        given = node.settings.get(setting)
        if given is None:
            return None
        return tuple(int(value) for value in np.atleast_1d(np.asarray(given)))

    def reals(self, node: Node, position: int, setting: str) -> NDArray[np.float64] | None:
        """Real numbers that are an input in newer files and an attribute in older ones."""
        if node.has_input(position):
            return self.constant(node, position).real()
        given = node.settings.get(setting)
        return None if given is None else np.asarray(given, np.float64)

    def limit(self, node: Node, position: int, setting: str) -> float | None:
        """A real number to clamp or pad with; integers are on the scale of the first input."""
        if self.is_constant(node, position):
            constant = self.constant(node, position)
            if constant.scales is None and constant.values.dtype in (np.int8, np.uint8):
                quantisation = self.builder.quantisation(self.activation(node), node.layer)
                offset = UINT8_OFFSET if constant.values.dtype == np.uint8 else 0
                steps = int(constant.values.reshape(())) - offset - quantisation.zero_point
                return steps * quantisation.scale
        given = self.reals(node, position, setting)
        return None if given is None or not given.size else float(given.reshape(()))

    def set_constant(self, node: Node, constant: Constant) -> None:
        """State that the node's output is a constant."""
        self.builder.constants[node.outputs[0]] = constant

    def set_output(self, node: Node, activation: Activation, position: int = 0) -> None:
        """State what an output of the node is; it is put on its scale if the node states one."""
        if (
            position < len(node.quantisations)
            and (stated := node.quantisations[position]) is not None
        ):
            activation = on_scale(self.builder, activation, stated, node.layer)
        self.builder.activations[node.outputs[position]] = activation
        # What moves integers leaves their type.
        kind = self.integer_types.get(node.inputs[0]) if node.inputs else None
        if kind is not None and node.kind != "DequantizeLinear":
            self.integer_types[node.outputs[position]] = kind


Reader = Callable[[Node, ImportContext], None]
READERS: dict[str, Reader] = {}


def reader(*kinds: str) -> Callable[[Reader], Reader]:
    """Register a function as the reader of nodes of these kinds."""

    def register(function: Reader) -> Reader:
        READERS.update(dict.fromkeys(kinds, function))
        return function

    return register


@contextmanager
def errors_named(layer: str, kind: str, verb: str) -> Iterator[None]:
    """Give an error in reading a layer its name, and what the file calls its kind.

    Raises:
        UnsupportedModelError: the layer cannot be compiled, or is malformed.
    """
    try:
        yield
    except UnsupportedModelError as error:
        raise UnsupportedModelError(_named(str(error), layer, kind)) from error
    except DAMAGE as error:
        raise UnsupportedModelError(
            f"layer {layer} ({kind}) is malformed: {error}. {verb} the model again."
        ) from error


def unknown_kind(layer: str, kind: str, hints: Mapping[str, str]) -> UnsupportedModelError:
    """What to raise for a layer that has no reader; `kind` may say more than its name."""
    hint = hints.get(kind.partition(" ")[0], "The page docs/models.md lists what can be.")
    return UnsupportedModelError(
        f"layer {layer} is {with_article(kind)}, which cannot be compiled. {hint}"
    )


def _named(message: str, layer: str, kind: str) -> str:
    if layer not in message:
        return f"layer {layer} ({kind}): {message}"
    if kind in message:
        return message
    return message.replace(f"layer {layer}", f"{kind} layer {layer}", 1)


# onnxruntime takes these in files of every opset, though ONNX defines them since opset 17.
_OF_ANY_OPSET = {"LayerNormalization"}
# An operator's float twin, and the positions of its operands; a scale and a zero point follow
# each operand. The result's scale and zero point follow the operands, unless stated.
_SIMPLE: Mapping[str, tuple[str, tuple[int, ...], int]] = {
    "QLinearMatMul": ("MatMul", (0, 3), 6),
    "QLinearAdd": ("Add", (0, 3), 6),
    "QLinearMul": ("Mul", (0, 3), 6),
    "QLinearSigmoid": ("Sigmoid", (0,), 3),
    "QLinearLeakyRelu": ("LeakyRelu", (0,), 3),
    "QLinearSoftmax": ("Softmax", (0,), 3),
    "QLinearAveragePool": ("AveragePool", (0,), 3),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", (0,), 3),
}
_WITH_BIAS: Mapping[str, tuple[str, int, int]] = {
    # twin, position of the bias, position of the result's scale
    "QLinearConv": ("Conv", 8, 6),
    "QGemm": ("Gemm", 6, 7),
}


def node_of(proto: NodeProto, index: int) -> Node:
    """The node of a file.

    Raises:
        ValueError: an attribute has no known type, or not that which the operator defines.
    """
    kind = text(proto.op_type)
    return Node(
        kind=kind,
        layer=text(proto.name) or f"{proto.op_type}_{index}",
        inputs=tuple(text(name) for name in proto.input),
        outputs=tuple(text(name) for name in proto.output),
        settings={
            text(attribute.name): helper.get_attribute_value(attribute)
            for attribute in proto.attribute
            if _is_defined(attribute, kind)
        },
        proto=proto,
    )


def _is_defined(attribute: AttributeProto, kind: str) -> bool:
    """Whether ONNX's operator has this attribute; operators of other makers may have any."""
    if kind not in _attribute_types():
        return True
    types = _attribute_types()[kind].get(text(attribute.name))
    if types is not None and attribute.type not in types:
        raise ValueError(f"its {text(attribute.name)} has the wrong type")
    return types is not None


@cache
def _attribute_types() -> dict[str, dict[str, set[int]]]:
    """By operator and attribute the types that any version of ONNX defines."""
    found: dict[str, dict[str, set[int]]] = {}
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "":
            attributes = found.setdefault(schema.name, {})
            for name, attribute in schema.attributes.items():
                attributes.setdefault(name, set()).add(int(attribute.type))
    return found


def first_opset(node: Node) -> int:
    """The opset that brought the node's operator; 0 where ONNX does not define it."""
    is_onnx_s = node.proto is not None and node.proto.domain in ("", "ai.onnx")
    return _first_opsets().get(node.kind, 0) if is_onnx_s and node.kind not in _OF_ANY_OPSET else 0


@cache
def _first_opsets() -> dict[str, int]:
    found: dict[str, int] = {}
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "":
            found[schema.name] = min(schema.since_version, found.get(schema.name, 1 << 30))
    return found


def text(value: str | bytes) -> str:
    """A name of the file; protobuf hands out bytes where a damaged one is not UTF-8."""
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def is_operator_format(node: Node) -> bool:
    """Whether the node computes on quantised tensors directly."""
    return node.kind in _SIMPLE or node.kind in _WITH_BIAS or node.kind == "QLinearConcat"


def as_quantise_dequantise(node: Node, constants: dict[str, Constant]) -> Iterator[Node]:
    """The same computation as DequantizeLinear, the float operator, QuantizeLinear."""
    if node.kind == "QLinearConcat":
        twin, operands, result = "Concat", tuple(range(2, len(node.inputs), 3)), 0
    elif node.kind in _SIMPLE:
        twin, operands, result = _SIMPLE[node.kind]
    else:
        twin, _, result = _WITH_BIAS[node.kind]
        operands = (0, 3)
    names = []
    for position in operands:
        triple = node.inputs[position : position + 3]
        names.append(f"{node.outputs[0]}/operand{position}")
        yield Node("DequantizeLinear", node.layer, triple, (names[-1],), {"axis": 0})
    if node.kind in _WITH_BIAS and node.has_input(_WITH_BIAS[node.kind][1]):
        names.append(f"{node.outputs[0]}/bias")
        bias = constants[node.inputs[_WITH_BIAS[node.kind][1]]].values
        scales = [np.asarray(constants[node.inputs[i]].values, np.float64) for i in (1, 4)]
        real = bias.astype(np.float64) * (scales[0].reshape(()) * scales[1].reshape(-1))
        constants[names[-1]] = Constant(real)
    output = f"{node.outputs[0]}/real"
    settings = {name: value for name, value in node.settings.items() if name != "opset"}
    if node.settings.get("channels_last", 0):
        raise ValueError("it is channels-last, which this operator is not in other files")
    yield Node(twin, node.layer, tuple(names), (output,), settings)
    scale = (output, *node.inputs[result : result + 2])
    yield Node("QuantizeLinear", f"{node.layer}_quantise", scale, node.outputs)

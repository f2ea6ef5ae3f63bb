"""One ONNX node, and what is known of the file while its nodes are read in order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import AttributeProto, NodeProto, defs, helper

from automcu.compiler.read.activation import Activation
from automcu.compiler.read.builder import GraphBuilder
from automcu.compiler.read.constant import Constant

UINT8_OFFSET = 128  # uint8 minus this is the same value as int8


@dataclass(frozen=True)
class Node:
    """`layer` is its name, or its kind and number; an input or output that is left out is ""."""

    kind: str
    layer: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    proto: NodeProto | None = None

    def has_input(self, position: int) -> bool:
        """Whether an optional input is given."""
        return len(self.inputs) > position and self.inputs[position] != ""

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
class Reading:
    """The graph so far; `readers` are the nodes that use a name; `opset` the ONNX version.

    `integer_types` are those of activations that are still quantised.
    """

    builder: GraphBuilder
    readers: Mapping[str, list[Node]]
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

    def bind(self, node: Node, activation: Activation, position: int = 0) -> None:
        """State what an output of the node is; what moves integers leaves their type."""
        self.builder.bind(node.outputs[position], activation)
        kind = self.integer_types.get(node.inputs[0]) if node.inputs else None
        if kind is not None and node.kind != "DequantizeLinear":
            self.integer_types[node.outputs[position]] = kind


Importer = Callable[[Node, Reading], None]
OPERATORS: dict[str, Importer] = {}


def operator(*kinds: str) -> Callable[[Importer], Importer]:
    """Register a function as the importer of these ONNX operators."""

    def register(function: Importer) -> Importer:
        OPERATORS.update(dict.fromkeys(kinds, function))
        return function

    return register


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


def text(value: str | bytes) -> str:
    """A name of the file; protobuf hands out bytes where a damaged one is not UTF-8."""
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def positive_axis(axis: int, rank: int) -> int:
    """An axis counted from the front."""
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} of a tensor with {rank} axes")
    return axis % rank

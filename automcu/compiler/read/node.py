"""One node of a model file, and what is known of the file while its nodes are read in order.

Nodes are ONNX's: what another format holds is translated into them. A reader is a function that
adds to the graph what one kind of node computes; `@reader` registers it.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from automcu.compiler.graph import Quantisation
from automcu.compiler.read.arrange import on_scale
from automcu.compiler.read.builder import Activation, Constant, GraphBuilder
from automcu.compiler.tensor import NO_CLAMP, Clamp
from automcu.errors import UnsupportedModelError
from automcu.plain_text import with_article

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

"""The nodes of an ONNX file.

Those in onnxruntime's operator format (QLinearConv, ...) are rewritten as the layers between
QuantizeLinear and DequantizeLinear.
"""

from collections.abc import Iterator, Mapping
from functools import cache

import numpy as np
from onnx import AttributeProto, NodeProto, defs, helper

from automcu.compiler.read.builder import Constant
from automcu.compiler.read.node import Node

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

"""onnxruntime's operator format (QLinearConv, ...), rewritten as the layers between Q and DQ."""

from collections.abc import Iterator, Mapping

import numpy as np

from automcu.compiler.read.builder import Constant
from automcu.compiler.read.node import Node

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

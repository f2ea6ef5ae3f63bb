"""Arithmetic on constants that a file leaves to be done: sizes, pads, scales of a resize."""

import numpy as np
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from automcu.compiler.read.constant import Constant
from automcu.compiler.read.onnx_operators.node import Node, Reading

_MOST_VALUES = 4096
# Operators whose result is no larger than their largest operand.
_KINDS = frozenset(
    {
        "Abs",
        "And",
        "Ceil",
        "Equal",
        "Exp",
        "Floor",
        "Greater",
        "GreaterOrEqual",
        "Less",
        "LessOrEqual",
        "Max",
        "Min",
        "Mod",
        "Neg",
        "Not",
        "Or",
        "Pow",
        "Reciprocal",
        "ReduceMax",
        "ReduceMin",
        "ReduceProd",
        "ReduceSum",
        "Round",
        "Sign",
        "Size",
        "Sqrt",
        "Where",
        "Xor",
    }
)


def fold(node: Node, reading: Reading) -> bool:
    """Compute the node by ONNX's own reference if it is such arithmetic; tells whether it was."""
    if node.proto is None or node.kind not in _KINDS:
        return False
    names = [name for name in node.inputs if name]
    values = {}
    for name in names:
        constant = reading.builder.constants.get(name)
        if constant is None or constant.scales is not None or constant.values.size > _MOST_VALUES:
            return False
        values[name] = np.asarray(constant.values)
    graph = helper.make_graph(
        [node.proto],
        "constants",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
            )
            for name, value in values.items()
        ],
        [helper.make_tensor_value_info(node.outputs[0], TensorProto.UNDEFINED, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", reading.opset)])
    try:
        (result,) = ReferenceEvaluator(model).run(None, values)
    except (RuntimeError, AttributeError, NotImplementedError, AssertionError) as error:
        raise ValueError(f"its constants cannot be computed: {error}") from error
    reading.builder.constants[node.outputs[0]] = Constant(np.asarray(result))
    return True


FOLDED_KINDS = _KINDS

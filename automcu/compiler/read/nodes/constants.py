"""Constants that a file spells out as nodes, and the arithmetic on them that it leaves to be done.

That is: values, shapes, arrays of one value; sizes, pads, scales of a resize.
"""

from math import prod

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from automcu.compiler.read.builder import Constant
from automcu.compiler.read.node import ImportContext, Node, reader

LONGEST_CONSTANT = 1 << 16  # of those that a file computes: sizes, pads and the like
_MOST_VALUES = 4096
# Operators whose result is no larger than their largest operand.
FOLDED_KINDS = frozenset(
    [
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
    ]
)


@reader("Shape")
def _shape_of(node: Node, context: ImportContext) -> None:
    shape = np.array(context.shape(node), np.int64)
    start, end = (node.settings.get(name) for name in ("start", "end"))
    context.set_constant(node, Constant(shape[slice(start, end)]))


@reader("ConstantOfShape")
def _constant_of_shape(node: Node, context: ImportContext) -> None:
    shape = context.integers(node, 0, "shape") or ()
    if min(shape, default=1) < 0 or prod(shape) > LONGEST_CONSTANT:
        raise ValueError(f"a constant of shape {shape}")
    value = np.zeros(1, np.float32)
    if "value" in node.settings:
        value = np.asarray(numpy_helper.to_array(node.settings["value"]))
    context.set_constant(node, Constant(np.full(shape, value.reshape(-1)[0])))


@reader("Constant")
def _constant_node(node: Node, context: ImportContext) -> None:
    settings = node.settings
    if "value" in settings:
        values = np.asarray(numpy_helper.to_array(settings["value"]))
    else:
        kinds = ("value_float", "value_floats", "value_int", "value_ints")
        given = [settings[kind] for kind in kinds if kind in settings]
        if not given:
            raise ValueError("it has no value")
        values = np.asarray(given[0])
    context.set_constant(node, Constant(values))


def fold(node: Node, context: ImportContext) -> bool:
    """Compute the node by ONNX's own reference if it is such arithmetic; return whether it was."""
    if node.proto is None or node.kind not in FOLDED_KINDS:
        return False
    names = [name for name in node.inputs if name]
    values = {}
    for name in names:
        constant = context.builder.constants.get(name)
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
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", context.opset)])
    try:
        (result,) = ReferenceEvaluator(model).run(None, values)
    except (RuntimeError, AttributeError, NotImplementedError, AssertionError) as error:
        raise ValueError(f"its constants cannot be computed: {error}") from error
    context.set_constant(node, Constant(np.asarray(result)))
    return True

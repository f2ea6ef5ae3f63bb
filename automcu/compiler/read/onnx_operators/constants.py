"""Constants that a file spells out as nodes: values, shapes, arrays of one value."""

from math import prod

import numpy as np
from onnx import numpy_helper

from automcu.compiler.read.constant import Constant
from automcu.compiler.read.onnx_operators.node import Node, Reading, operator

LONGEST_CONSTANT = 1 << 16  # of those that a file computes: sizes, pads and the like


@operator("Shape")
def _shape_of(node: Node, reading: Reading) -> None:
    shape = np.array(reading.shape(node), np.int64)
    start, end = (node.settings.get(name) for name in ("start", "end"))
    constant = Constant(shape[slice(start, end)])
    reading.builder.constants[node.outputs[0]] = constant


@operator("ConstantOfShape")
def _constant_of_shape(node: Node, reading: Reading) -> None:
    shape = reading.integers(node, 0, "shape") or ()
    if min(shape, default=1) < 0 or prod(shape) > LONGEST_CONSTANT:
        raise ValueError(f"a constant of shape {shape}")
    value = np.zeros(1, np.float32)
    if "value" in node.settings:
        value = np.asarray(numpy_helper.to_array(node.settings["value"]))
    reading.builder.constants[node.outputs[0]] = Constant(np.full(shape, value.reshape(-1)[0]))


@operator("Constant")
def _constant_node(node: Node, reading: Reading) -> None:
    settings = node.settings
    if "value" in settings:
        values = np.asarray(numpy_helper.to_array(settings["value"]))
    else:
        kinds = ("value_float", "value_floats", "value_int", "value_ints")
        given = [settings[kind] for kind in kinds if kind in settings]
        if not given:
            raise ValueError("it has no value")
        values = np.asarray(given[0])
    reading.builder.constants[node.outputs[0]] = Constant(values)

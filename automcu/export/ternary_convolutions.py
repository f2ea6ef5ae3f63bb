"""Ternary weights of a QDQ file as -1, 0 and 1, as the compiler's ternary kernels want them.

Quantisation to int8 turns the weights of a ternary channel into -127, 0 and 127, as it does not
know that there is nothing in between. The scale takes over the factor.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, numpy_helper

from automcu.compiler.read.weights import TERNARY_FROM
from automcu.export.float_islands import DEQUANTISE
from automcu.records import write_atomically

_WEIGHTS = 1  # of a convolution's inputs


def write_ternary_weights(path: Path) -> None:
    """Rewrite every convolution of `path` whose channels have one magnitude; others stay.

    So do those of so few weights that the compiler does not take them for ternary. The real
    weights, and so what the file computes, stay the same.
    """
    model = onnx.load(path)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    producers = {name: node for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        source = producers.get(node.input[_WEIGHTS]) if node.op_type == "Conv" else None
        if source is not None and source.op_type == DEQUANTISE and _in_one_group(node):
            weights, scales = (constants.get(name) for name in source.input[:2])
            if weights is not None and scales is not None:
                _rewrite(weights, scales)
    write_atomically(path, model.SerializeToString())


def _in_one_group(node: NodeProto) -> bool:
    return all(one.name != "group" or one.i == 1 for one in node.attribute)


def _rewrite(weights: TensorProto, scales: TensorProto) -> None:
    """In place, where all weights of each channel have the same magnitude or are 0."""
    values = numpy_helper.to_array(weights).astype(np.int64)
    if values.size < TERNARY_FROM:
        return
    rows = np.abs(values.reshape(len(values), -1))
    largest = np.maximum(rows.max(axis=1), 1)
    factors = numpy_helper.to_array(scales)
    if not ((rows == 0) | (rows == largest[:, None])).all() or factors.shape != largest.shape:
        return
    _store(weights, np.sign(values).astype(np.int8))
    _store(scales, (factors * largest).astype(np.float32))


def _store(tensor: TensorProto, values: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> None:
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))

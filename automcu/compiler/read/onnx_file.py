"""Quantised ONNX files: int8 or uint8 activations per tensor, 8-bit weights per output channel."""

from collections.abc import Iterator
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import TensorProto, checker, numpy_helper
from onnx.external_data_helper import load_external_data_for_tensor, uses_external_data

from automcu.compiler.graph import FileLayout, Graph
from automcu.compiler.read.builder import MOST_ELEMENTS, GraphBuilder
from automcu.compiler.read.constant import Constant
from automcu.compiler.read.content import LARGEST_FILE, named, read_content
from automcu.compiler.read.onnx_axes import input_order, output_as_input
from automcu.compiler.read.onnx_operators import (
    OPERATORS,
    Node,
    Reading,
    node_of,
    text,
)
from automcu.compiler.read.onnx_operators.folding import FOLDED_KINDS, fold
from automcu.compiler.read.onnx_operators.node import UINT8_OFFSET
from automcu.compiler.read.onnx_operators.operator_format import (
    as_quantise_dequantise,
    is_operator_format,
)
from automcu.compiler.read.view import in_order
from automcu.errors import UnsupportedModelError, WrongInputError

_MOST_NODES = 20_000
_DYNAMIC = ("DynamicQuantizeLinear", "ConvInteger", "MatMulInteger", "DynamicQuantizeMatMul")
_QUANTISING = ("QuantizeLinear", "DequantizeLinear")
_LIST = "The page docs/models.md lists what can be."
_HINTS = {
    "LogSoftmax": "Leave it out: the largest score stays the largest.",
    "ArgMax": "Leave it out: the application takes the largest of the scores.",
    "LSTM": "Use 1-D convolutions.",
    "GRU": "Use 1-D convolutions.",
    "RNN": "Use 1-D convolutions.",
    "ConvTranspose": "Use a nearest-neighbour Resize and a Conv.",
    "InstanceNormalization": "Use batch normalisation.",
    "Mean": "Use Add and a constant factor.",
    "ReduceSum": "Use ReduceMean; the layer behind it can take the factor.",
    "Sum": "Use Add, two tensors at a time, and quantise what is in between.",
    **dict.fromkeys(
        ("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal", "Where", "And", "Or", "Not"),
        "Choose by Relu, Clip or a product with a stored mask.",
    ),
    **dict.fromkeys(
        ("Conv3D", "If", "Loop", "Scan"), "Unroll what is repeated, and export it without."
    ),
}


def import_onnx(path: Path) -> Graph:
    """Read a quantised ONNX model with one input and one output.

    Images of an ONNX file are channels-first; the graph's are channels-last.

    Raises:
        WrongInputError: the file cannot be read.
        UnsupportedModelError: it is no ONNX file, is not quantised, or holds an operator that
            cannot be compiled; the message names it.
    """
    model = read_model(path)
    builder = GraphBuilder()
    for initializer in model.graph.initializer:
        builder.constants[text(initializer.name)] = Constant(_array(initializer, path))
    if len(model.graph.output) != 1:
        raise UnsupportedModelError(
            f"the model has {len(model.graph.output)} outputs. Export it with one."
        )
    output = text(model.graph.output[0].name)
    nodes = _needed_nodes(model, output, builder)
    _check_quantised(nodes)
    readers: dict[str, list[Node]] = {}
    for node in nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node)
    reading = Reading(builder, readers, _opset(model))
    given = _declare_input(model, reading)
    for node in nodes:
        _read_node(node, reading)
    result, order = output_as_input(reading, given.order, builder.activation(output, "output"))
    return replace(
        builder.graph(result),
        input_layout=given,
        output_layout=FileLayout(result.view.shape, order),
    )


def read_model(path: Path) -> onnx.ModelProto:
    """Parse a file; arrays that it keeps in a file beside it are read too.

    Raises:
        WrongInputError: the file, or one that it needs, cannot be read.
        UnsupportedModelError: it is no ONNX file, or holds nothing.
    """
    content = read_content(path)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except (DecodeError, RuntimeError) as error:
        raise UnsupportedModelError(
            f"{path} is not an ONNX file, nor a TFLite one. Export the model again."
        ) from error
    if not model.graph.node:
        what = "holds no layers" if content else "is empty and holds no layers"
        raise UnsupportedModelError(f"{path} {what}. Export the model again.")
    if len(model.graph.node) > _MOST_NODES:
        raise UnsupportedModelError(
            f"{path} holds {len(model.graph.node)} nodes, more than any small model. "
            "Use a smaller model."
        )
    _read_external_data(model, path)
    return model


def _read_external_data(model: onnx.ModelProto, path: Path) -> None:
    """Put the arrays that lie in another file into the model."""
    read = 0
    for tensor in filter(uses_external_data, model.graph.initializer):
        entries = {text(entry.key): text(entry.value) for entry in tensor.external_data}
        location = entries.get("location", "")
        if not location or Path(location).is_absolute() or ".." in Path(location).parts:
            raise UnsupportedModelError(
                f"{path} keeps {text(tensor.name)} in another file, {location!r}, which is not in "
                "its own folder. Save it as a single file."
            )
        beside = path.parent / location
        if not beside.is_file():
            raise WrongInputError(
                f"{path} keeps its weights in {location}, which is not beside it. Copy "
                f"{location} into {path.parent} too, or save the model as a single file."
            )
        if beside.stat().st_size > LARGEST_FILE:
            raise WrongInputError(f"{beside} is larger than 64 MB. Give a model for a small board.")
        try:
            load_external_data_for_tensor(tensor, str(path.parent))
        except (ValueError, OSError, TypeError, checker.ValidationError) as error:
            raise UnsupportedModelError(
                f"{beside} does not hold {text(tensor.name)} of {path} ({_first_line(error)}). "
                "Export the model again, with both of its files."
            ) from error
        tensor.data_location = TensorProto.DEFAULT
        del tensor.external_data[:]
        if (read := read + len(tensor.raw_data)) > LARGEST_FILE:  # tensors may share the bytes
            raise WrongInputError(f"{path} holds more than 64 MB. Give a model for a small board.")


def _array(initializer: onnx.TensorProto, path: Path) -> NDArray[np.generic]:
    if min(initializer.dims, default=0) >= 0 and prod(initializer.dims) > MOST_ELEMENTS:
        raise UnsupportedModelError(
            f"{path} holds a damaged array {text(initializer.name)}, or one larger than any "
            "microcontroller. Export the model again, or use a smaller one."
        )
    try:
        return np.asarray(numpy_helper.to_array(initializer))
    except (ValueError, TypeError, KeyError) as error:
        raise UnsupportedModelError(
            f"{path} holds a damaged array {text(initializer.name)}. Export the model again."
        ) from error


def _opset(model: onnx.ModelProto) -> int:
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    return max(versions, default=1)


def _needed_nodes(model: onnx.ModelProto, output: str, builder: GraphBuilder) -> list[Node]:
    """The nodes on a path to the output, in the file's order, none in the operator format."""
    needed = {output}
    kept: list[onnx.NodeProto] = []
    for proto in reversed(model.graph.node):
        if any(name in needed for name in proto.output if name):
            needed.update(proto.input)
            kept.append(proto)
    nodes: list[Node] = []
    for index, proto in enumerate(reversed(kept)):
        try:
            node = node_of(proto, index)
        except (ValueError, TypeError) as error:
            raise UnsupportedModelError(
                f"layer {index} is damaged: {error}. Export the model again."
            ) from error
        nodes.extend(_expanded(node, builder) if is_operator_format(node) else (node,))
    return nodes


def _expanded(node: Node, builder: GraphBuilder) -> Iterator[Node]:
    try:
        yield from as_quantise_dequantise(node, builder.constants)
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise _malformed(node, error) from error


def _check_quantised(nodes: list[Node]) -> None:
    kinds = {node.kind for node in nodes}
    for node in nodes:
        if node.kind in _DYNAMIC:
            raise UnsupportedModelError(
                f"layer {node.layer} is quantised as it runs ({node.kind}). Quantise the float "
                "model statically instead: automcu compile MODEL --calibrate DATA."
            )
    if not kinds & set(_QUANTISING):
        raise UnsupportedModelError(
            "the model is not quantised: it computes in floating point. "
            "Quantise it with your data: automcu compile MODEL --calibrate DATA."
        )


def _read_node(node: Node, reading: Reading) -> None:
    if not is_known(node.kind):
        hint = _HINTS.get(node.kind, _LIST)
        raise UnsupportedModelError(
            f"layer {node.layer} is a {node.kind}, which cannot be compiled. {hint}"
        )
    try:
        if fold(node, reading):
            return
        if node.kind not in OPERATORS:
            raise UnsupportedModelError(
                f"layer {node.layer} is a {node.kind} of computed values, which cannot be "
                f"compiled. {_HINTS.get(node.kind, _LIST)}"
            )
        OPERATORS[node.kind](node, reading)
    except UnsupportedModelError as error:
        raise UnsupportedModelError(named(str(error), node.layer, node.kind)) from error
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise _malformed(node, error) from error


def is_known(kind: str) -> bool:
    """Whether a layer of this kind can be read, at least with some settings."""
    return kind in OPERATORS or kind in FOLDED_KINDS


def _malformed(node: Node, error: Exception) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"layer {node.layer} ({node.kind}) is malformed: {error}. Export the model again."
    )


def _declare_input(model: onnx.ModelProto, reading: Reading) -> FileLayout:
    builder = reading.builder
    inputs = [value for value in model.graph.input if text(value.name) not in builder.constants]
    if len(inputs) != 1:
        raise UnsupportedModelError(f"the model has {len(inputs)} inputs. Export it with one.")
    name, kind = text(inputs[0].name), inputs[0].type.tensor_type.elem_type
    dims = inputs[0].type.tensor_type.shape.dim
    sizes = [dim.dim_value for dim in dims]
    if len(sizes) < 2:
        raise UnsupportedModelError(
            f"the model's input has the shape {sizes}. Export it as [1, values], "
            "[1, channels, length] or [1, channels, height, width]."
        )
    if sizes[0] > 1:
        raise UnsupportedModelError(
            f"the model's input has the shape {sizes}, of {sizes[0]} inputs at once; a board "
            f"computes one. Export it as {[1, *sizes[1:]]}."
        )
    if min(sizes[1:]) < 1:
        words = [text(dim.dim_param) or dim.dim_value or "?" for dim in dims]
        raise UnsupportedModelError(
            f"the model's input has the shape [{', '.join(map(str, words))}], of open size. "
            "Export it with static sizes."
        )
    shape = (1, *sizes[1:])
    order = input_order(name, shape, reading)
    lengths = [1, 1, *(shape[axis] for axis in order[1:])]
    rows = prod(lengths[:-2])
    builder.add_input(name, (rows, lengths[-2], lengths[-1]), in_order(shape, order), None)
    if kind in (TensorProto.UINT8, TensorProto.INT8):
        reading.integer_inputs[name] = UINT8_OFFSET if kind == TensorProto.UINT8 else 0
        reading.integer_types[name] = np.dtype(np.uint8 if kind == TensorProto.UINT8 else np.int8)
    return FileLayout(shape, order)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]

"""Quantised ONNX files: int8 or uint8 activations per tensor, 8-bit weights per output channel.

Images of a file are channels-first, ours channels-last.
"""

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
from automcu.compiler.read.arrange import image
from automcu.compiler.read.builder import COMPUTES_NOTHING, Activation, Constant, GraphBuilder
from automcu.compiler.read.file_tensor import LARGEST_FILE, MOST_ELEMENTS, in_order, read_content
from automcu.compiler.read.node import (
    READERS,
    UINT8_OFFSET,
    ImportContext,
    Node,
    as_quantise_dequantise,
    errors_named,
    first_opset,
    is_operator_format,
    node_of,
    text,
    unknown_kind,
)
from automcu.compiler.read.nodes.quantisation import FOLDED_KINDS, fold
from automcu.errors import UnsupportedModelError, WrongInputError, with_article

_MOST_NODES = 20_000
_DYNAMIC = ("DynamicQuantizeLinear", "ConvInteger", "MatMulInteger", "DynamicQuantizeMatMul")
_QUANTISING = ("QuantizeLinear", "DequantizeLinear")
_MOVING = {"Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Constant"}
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
_CHANNELS_FIRST = ("Conv", "MaxPool", "AveragePool", "BatchNormalization", "GlobalAveragePool")
_KEEPING_AXES = (
    *_QUANTISING,
    "Cast",
    "Identity",
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Pad",
    "Relu",
    "Clip",
)
_TO_CHANNELS_FIRST = (0, 3, 1, 2)
_CHANNELS_LAST = {3: (0, 2, 1), 4: (0, 2, 3, 1)}
_MOST_STEPS = 100
_Order = tuple[int, ...]


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
    consumers: dict[str, list[Node]] = {}
    for node in nodes:
        for name in node.inputs:
            consumers.setdefault(name, []).append(node)
    context = ImportContext(builder, consumers, _opset(model))
    given = _declare_input(model, context)
    for node in nodes:
        _read_node(node, context)
    result, order = _output_as_input(context, given.order, builder.activation(output, "output"))
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
    with errors_named(node.layer, node.kind, "Export"):
        yield from as_quantise_dequantise(node, builder.constants)


def _check_quantised(nodes: list[Node]) -> None:
    kinds = {node.kind for node in nodes}
    for node in nodes:
        if node.kind in _DYNAMIC:
            raise UnsupportedModelError(
                f"layer {node.layer} is quantised as it runs ({node.kind}). Quantise the float "
                "model statically instead: automcu compile MODEL --calibrate DATA."
            )
    if kinds <= _MOVING:
        raise UnsupportedModelError(COMPUTES_NOTHING)
    if not kinds & set(_QUANTISING):
        raise UnsupportedModelError(
            "the model is not quantised: it computes in floating point. "
            "Quantise it with your data: automcu compile MODEL --calibrate DATA."
        )


def _read_node(node: Node, context: ImportContext) -> None:
    if not is_known(node.kind):
        raise unknown_kind(node.layer, node.kind, _HINTS)
    since = first_opset(node)
    if since > context.opset:
        raise UnsupportedModelError(
            f"layer {node.layer} is {with_article(node.kind)}, an operator of opset {since} and "
            f"later; the file is of opset {context.opset}. Export it with opset {since} or later."
        )
    with errors_named(node.layer, node.kind, "Export"):
        if fold(node, context):
            return
        if node.kind not in READERS:
            raise unknown_kind(node.layer, f"{node.kind} of computed values", _HINTS)
        READERS[node.kind](node, context)


def is_known(kind: str) -> bool:
    """Whether a layer of this kind can be read, at least with some settings."""
    return kind in READERS or kind in FOLDED_KINDS


def _declare_input(model: onnx.ModelProto, context: ImportContext) -> FileLayout:
    builder = context.builder
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
    if any(dim.HasField("dim_value") and dim.dim_value == 0 for dim in dims[1:]):
        raise UnsupportedModelError(
            f"the model's input has the shape {sizes}, which holds no values. "
            "Export it with the sizes that the network takes."
        )
    if min(sizes[1:]) < 1:
        words = [text(dim.dim_param) or dim.dim_value or "?" for dim in dims]
        raise UnsupportedModelError(
            f"the model's input has the shape [{', '.join(map(str, words))}], of open size. "
            "Export it with static sizes."
        )
    shape = (1, *sizes[1:])
    order = _input_order(name, shape, context)
    lengths = [1, 1, *(shape[axis] for axis in order[1:])]
    rows = prod(lengths[:-2])
    builder.add_input(name, (rows, lengths[-2], lengths[-1]), in_order(shape, order), None)
    if kind in (TensorProto.UINT8, TensorProto.INT8):
        context.integer_inputs[name] = UINT8_OFFSET if kind == TensorProto.UINT8 else 0
        context.integer_types[name] = np.dtype(np.uint8 if kind == TensorProto.UINT8 else np.int8)
    return FileLayout(shape, order)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _input_order(name: str, shape: tuple[int, ...], context: ImportContext) -> _Order:
    """The order of the input's axes: that of the file only where the file is channels-last too."""
    first = _first_reader_of_shape(name, context)
    natural = tuple(range(len(shape)))
    if len(shape) == 4:
        kind = "" if first is None else first.kind
        order = () if first is None else tuple(first.settings.get("perm", ()))
        has_channels_last = kind == "Transpose" and order == _TO_CHANNELS_FIRST
        has_one_channel_last = kind == "Reshape" and shape[3] == 1 and shape[1] > 1
        return natural if has_channels_last or has_one_channel_last else _CHANNELS_LAST[4]
    if len(shape) == 3 and first is not None and first.kind in _CHANNELS_FIRST:
        return _CHANNELS_LAST[3]
    return natural


def _output_as_input(
    context: ImportContext, order: _Order, output: Activation
) -> tuple[Activation, _Order]:
    """The output with its axes ordered as `order`, the input's, where it has as many; their order.

    An image that the file itself transposes at its end stays as the file has it.
    """
    output = context.builder.computed(output, "output")
    shape = output.view.shape
    natural = tuple(range(len(shape)))
    wanted = order if len(order) == len(shape) else natural
    if len(shape) == 4 and len(order) != 4:
        wanted = _CHANNELS_LAST[4]
    size = context.builder.tensors[output.tensor].size
    for accepted in (wanted, natural) if output.step == "transpose" else (wanted,):
        parts = output.view.transposed(accepted).parts
        if output.view.offset == 0 and parts in (((size, 1),), ()):
            return output, accepted
    name = image(context.builder, output, "output", (wanted[:-2], wanted[-2:-1], wanted[-1:]))
    return Activation(name, in_order(shape, wanted)), wanted


def _first_reader_of_shape(name: str, context: ImportContext) -> Node | None:
    """The first node behind the input that tells which of its axes are the channels."""
    for _ in range(_MOST_STEPS):
        readers = [node for node in context.consumers.get(name, ()) if node.kind != "Shape"]
        if not readers:
            return None
        if readers[0].kind not in _KEEPING_AXES:
            return readers[0]
        name = readers[0].outputs[0]
    return None

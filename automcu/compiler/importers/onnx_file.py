"""QDQ ONNX files: int8 activations per tensor, int8 weights per output channel."""

from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import numpy_helper

from automcu.compiler.graph import Graph
from automcu.compiler.importers.builder import Constant, GraphBuilder
from automcu.compiler.importers.onnx_operators import OPERATORS
from automcu.errors import UnsupportedModelError, WrongInputError

_LARGEST_FILE = 256 << 20


def import_onnx(path: Path) -> Graph:
    """Read a quantised ONNX model with one image (or vector) input and one output.

    Raises:
        WrongInputError: the file cannot be read.
        UnsupportedModelError: it is no ONNX file, is not quantised, or holds an operator that
            cannot be compiled; the message names it.
    """
    model = _load(path)
    builder = GraphBuilder()
    for initializer in model.graph.initializer:
        builder.constants[initializer.name] = Constant(_array(initializer, path))
    _declare_input(model, builder)
    for index, node in enumerate(model.graph.node):
        layer = node.name or f"{node.op_type}_{index}"
        if node.op_type not in OPERATORS:
            raise UnsupportedModelError(
                f"layer {layer} is a {node.op_type}, which cannot be compiled. "
                f"Supported are {', '.join(sorted(OPERATORS))}."
            )
        try:
            OPERATORS[node.op_type](node, layer, builder)
        except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
            raise UnsupportedModelError(
                f"layer {layer} ({node.op_type}) is malformed: {error}. Export the model again."
            ) from error
    if len(model.graph.output) != 1:
        raise UnsupportedModelError(
            f"the model has {len(model.graph.output)} outputs. Export it with one."
        )
    return builder.graph(model.graph.output[0].name)


def _load(path: Path) -> onnx.ModelProto:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise WrongInputError(f"{path} is larger than 256 MB. Give a model for a small board.")
        content = path.read_bytes()
    except OSError as error:
        raise WrongInputError(
            f"{path} cannot be read ({error.strerror}). Check its name."
        ) from error
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except (DecodeError, RuntimeError) as error:
        raise UnsupportedModelError(
            f"{path} is not an ONNX file. Export the model again."
        ) from error
    if not model.graph.node:
        raise UnsupportedModelError(f"{path} holds no layers. Export the model again.")
    return model


def _array(initializer: onnx.TensorProto, path: Path) -> NDArray[np.generic]:
    if initializer.data_location == onnx.TensorProto.EXTERNAL:
        raise UnsupportedModelError(
            f"{path} keeps {initializer.name} in another file. Save the model as a single file."
        )
    try:
        return np.asarray(numpy_helper.to_array(initializer))
    except (ValueError, TypeError, KeyError) as error:
        raise UnsupportedModelError(
            f"{path} holds a damaged array {initializer.name}. Export the model again."
        ) from error


def _declare_input(model: onnx.ModelProto, builder: GraphBuilder) -> None:
    inputs = [value for value in model.graph.input if value.name not in builder.constants]
    if len(inputs) != 1:
        raise UnsupportedModelError(f"the model has {len(inputs)} inputs. Export it with one.")
    sizes = [dim.dim_value for dim in inputs[0].type.tensor_type.shape.dim]
    if len(sizes) not in (2, 3, 4) or min(sizes[1:], default=0) < 1 or sizes[0] > 1:
        raise UnsupportedModelError(
            f"the model's input has the shape {sizes}. "
            "Export it as [1, channels, height, width] with static sizes."
        )
    channels, *image = sizes[1:]
    height, width = image if len(image) == 2 else (1, *image) if image else (1, 1)
    builder.add_input(inputs[0].name, (height, width, channels), None)

"""TensorFlow Lite files with int8 (or uint8) activations: full integer quantisation."""

import struct
from dataclasses import replace
from math import prod
from pathlib import Path

from automcu.compiler.graph import FileLayout, Graph
from automcu.compiler.read.arrange import in_file_order
from automcu.compiler.read.builder import GraphBuilder
from automcu.compiler.read.content import named, read_content
from automcu.compiler.read.tflite_operators import (
    OPERATORS,
    LayerRecord,
    ModelRecord,
    Reading,
    read_records,
    tensor_quantisation,
)
from automcu.compiler.read.tflite_operators.shapes import SHAPE_KINDS, fold
from automcu.compiler.read.view import natural
from automcu.errors import UnsupportedModelError

IDENTIFIER = b"TFL3"  # bytes 4 to 7 of every file
_LARGEST_IMAGE_RANK = 4
_DAMAGE = (
    struct.error,
    ValueError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
)
_HINTS = {
    "LOG_SOFTMAX": "Leave it out: the largest score stays the largest.",
    "ARG_MAX": "Leave it out: the application takes the largest of the scores.",
    "TRANSPOSE_CONV": "Use a nearest-neighbour resize and a convolution.",
    "RESIZE_BILINEAR": "Resize by nearest neighbour and a whole factor.",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "Use 1-D convolutions.",
    "LSTM": "Use 1-D convolutions.",
    "WHILE": "Unroll the loop, or use 1-D convolutions.",
    "MIRROR_PAD": "Pad with zeros.",
    "BATCH_MATMUL": "It multiplies two computed matrices, as attention does: use stored weights.",
    "DIV": "Divide by a constant, or multiply.",
    "FILL": "Convert the model with a fixed batch size of 1, so that its constants are stored.",
    "SQUARED_DIFFERENCE": "If it is part of a layer normalisation, use batch normalisation.",
    "SUM": "Use a mean; the layer behind it can take the factor.",
    **dict.fromkeys(
        ("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE"),
        "It keeps a state between calls: convert the model that takes a whole window.",
    ),
    **dict.fromkeys(
        ("GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "EQUAL", "SELECT", "SELECT_V2"),
        "Choose by a ReLU, a limit or a product with a stored mask.",
    ),
}
_LIST = "The page docs/models.md lists what can be."


def import_tflite(path: Path) -> Graph:
    """Read a quantised TFLite model with one input and one output.

    Raises:
        WrongInputError: the file cannot be read.
        UnsupportedModelError: it is damaged or no TFLite file, is not quantised, or holds an
            operator that cannot be compiled; the message names it.
    """
    content = read_content(path)
    if content[4:8] != IDENTIFIER:
        raise UnsupportedModelError(f"{path} is not a TFLite file. Convert the model again.")
    try:
        model = read_records(content)
    except _DAMAGE as error:
        raise UnsupportedModelError(
            f"{path} is damaged: {error}. Convert the model again."
        ) from error
    for kind, numbers in (("input", model.inputs), ("output", model.outputs)):
        if len(numbers) != 1 or numbers[0] < 0:
            raise UnsupportedModelError(
                f"the model has {len(numbers)} {kind}s. Convert it with one."
            )
    reading = Reading(GraphBuilder(), model)
    layers = _needed_layers(model)
    _declare_input(reading)
    for layer in layers:
        _read_layer(layer, reading)
    return _finished(reading)


def _needed_layers(model: ModelRecord) -> list[LayerRecord]:
    """The layers on a path to the output, in the file's order."""
    needed = set(model.outputs)
    kept = []
    for layer in reversed(model.layers):
        if needed.intersection(layer.outputs):
            needed.update(layer.inputs)
            kept.append(layer)
    return kept[::-1]


def _declare_input(reading: Reading) -> None:
    number = reading.model.inputs[0]
    record = reading.model.tensors[number]
    lengths = [1, 1, *record.shape]
    if not record.shape or min(record.shape) < 1:
        raise UnsupportedModelError(
            f"the model's input has the shape {list(record.shape)}. Convert it with static sizes."
        )
    if len(record.shape) > _LARGEST_IMAGE_RANK - 1 and record.shape[0] > 1:
        raise UnsupportedModelError(
            f"the model's input has the shape {list(record.shape)}, of {record.shape[0]} inputs at "
            "once. Convert it with a batch size of 1."
        )
    quantisation = None
    if record.kind != "float32":
        quantisation = tensor_quantisation(record, "the model's input")
    height, width, channels = prod(lengths[:-2]), lengths[-2], lengths[-1]
    reading.builder.add_input(
        str(number), (height, width, channels), natural(record.shape), quantisation
    )


def _read_layer(layer: LayerRecord, reading: Reading) -> None:
    if layer.kind not in OPERATORS and layer.kind not in SHAPE_KINDS:
        hint = _HINTS.get(layer.kind, _LIST)
        raise UnsupportedModelError(
            f"layer {layer.name} is a {layer.kind}, which cannot be compiled. {hint}"
        )
    try:
        if fold(layer, reading):
            return
        if layer.kind not in OPERATORS:
            raise UnsupportedModelError(
                f"layer {layer.name} is a {layer.kind} of computed values, which cannot be "
                f"compiled. {_HINTS.get(layer.kind, _LIST)}"
            )
        OPERATORS[layer.kind](layer, reading)
    except UnsupportedModelError as error:
        raise UnsupportedModelError(named(str(error), layer.name, layer.kind)) from error
    except _DAMAGE as error:
        raise UnsupportedModelError(
            f"layer {layer.name} ({layer.kind}) is malformed: {error}. Convert the model again."
        ) from error


def _finished(reading: Reading) -> Graph:
    builder = reading.builder
    name = str(reading.model.outputs[0])
    if name not in builder.activations:
        raise UnsupportedModelError("nothing computes the model's output. Convert it again.")
    output = builder.activations[name]
    if builder.tensors[output.tensor].quantisation is None:
        raise UnsupportedModelError(
            "the model computes in floating point. Convert it with full integer quantisation "
            "(TFLITE_BUILTINS_INT8, a representative dataset)."
        )
    given = reading.model.tensors[reading.model.inputs[0]].shape
    return replace(
        builder.graph(in_file_order(builder, output, "output")),
        input_layout=FileLayout(given, tuple(range(len(given)))),
        output_layout=FileLayout(output.view.shape, tuple(range(len(output.view.shape)))),
    )

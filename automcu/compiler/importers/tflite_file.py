"""TensorFlow Lite files with int8 (or uint8) activations: full integer quantisation."""

import struct
from dataclasses import replace
from pathlib import Path

from automcu.compiler.graph import FileLayout, Graph
from automcu.compiler.importers.arrange import in_file_order
from automcu.compiler.importers.builder import GraphBuilder
from automcu.compiler.importers.content import read_content
from automcu.compiler.importers.tflite_operators import (
    OPERATORS,
    LayerRecord,
    ModelRecord,
    Reading,
    read_records,
    tensor_quantisation,
)
from automcu.compiler.importers.tflite_operators.shapes import SHAPE_KINDS, fold
from automcu.compiler.importers.view import natural
from automcu.errors import UnsupportedModelError

IDENTIFIER = b"TFL3"  # bytes 4 to 7 of every file
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
}


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
    if not record.shape or min(record.shape) < 1 or any(size > 1 for size in lengths[:-3]):
        raise UnsupportedModelError(
            f"the model's input has the shape {list(record.shape)}. "
            "Convert it with a batch size of 1 and static sizes."
        )
    quantisation = None
    if record.kind != "float32":
        quantisation = tensor_quantisation(record, "the model's input")
    height, width, channels = lengths[-3:]
    reading.builder.add_input(
        str(number), (height, width, channels), natural(record.shape), quantisation
    )


def _read_layer(layer: LayerRecord, reading: Reading) -> None:
    if layer.kind not in OPERATORS and layer.kind not in SHAPE_KINDS:
        hint = _HINTS.get(layer.kind, "The page docs/models.md lists what can be.")
        raise UnsupportedModelError(
            f"layer {layer.name} is a {layer.kind}, which cannot be compiled. {hint}"
        )
    try:
        if not fold(layer, reading):
            OPERATORS[layer.kind](layer, reading)
    except UnsupportedModelError as error:
        if layer.name in str(error):
            raise
        raise UnsupportedModelError(f"layer {layer.name} ({layer.kind}): {error}") from error
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

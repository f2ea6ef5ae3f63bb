"""TensorFlow Lite files with int8 (or uint8) activations: full integer quantisation."""

from dataclasses import replace
from math import prod
from pathlib import Path

from automcu.compiler.graph import FileLayout, Graph
from automcu.compiler.read.arrange import in_file_order
from automcu.compiler.read.builder import GraphBuilder
from automcu.compiler.read.file_tensor import natural, read_content
from automcu.compiler.read.node import DAMAGE, READERS, ImportContext, errors_named, unknown_kind
from automcu.compiler.read.nodes.spatial import SOFTMAX_OF_ONE_AXIS
from automcu.compiler.read.tflite_layers import (
    FOLDED_KINDS,
    Layer,
    LayerRecord,
    ModelRecord,
    fold,
    read_records,
    tensor_quantisation,
)
from automcu.compiler.read.tflite_translations import TRANSLATIONS
from automcu.errors import UnsupportedModelError

IDENTIFIER = b"TFL3"  # bytes 4 to 7 of every file
_LARGEST_IMAGE_RANK = 4
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
    except DAMAGE as error:
        raise UnsupportedModelError(
            f"{path} is damaged: {error}. Convert the model again."
        ) from error
    for kind, numbers in (("input", model.inputs), ("output", model.outputs)):
        if len(numbers) != 1 or numbers[0] < 0:
            raise UnsupportedModelError(
                f"the model has {len(numbers)} {kind}s. Convert it with one."
            )
    titles = {str(number): tensor.name for number, tensor in enumerate(model.tensors)}
    context = ImportContext(GraphBuilder("Convert", titles), {}, SOFTMAX_OF_ONE_AXIS)
    layers = _needed_layers(model)
    _declare_input(model, context.builder)
    for record in layers:
        _read_layer(Layer(record, model, context))
    return _finished(model, context.builder)


def _needed_layers(model: ModelRecord) -> list[LayerRecord]:
    """The layers on a path to the output, in the file's order."""
    needed = set(model.outputs)
    kept = []
    for layer in reversed(model.layers):
        if needed.intersection(layer.outputs):
            needed.update(layer.inputs)
            kept.append(layer)
    return kept[::-1]


def _declare_input(model: ModelRecord, builder: GraphBuilder) -> None:
    number = model.inputs[0]
    record = model.tensors[number]
    lengths = [1, 1, *record.shape]
    if 0 in record.shape:
        raise UnsupportedModelError(
            f"the model's input has the shape {list(record.shape)}, which holds no values. "
            "Convert it with the sizes that the network takes."
        )
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
    builder.add_input(str(number), (height, width, channels), natural(record.shape), quantisation)


def _read_layer(layer: Layer) -> None:
    name, kind = layer.name, layer.record.kind
    if kind not in TRANSLATIONS and kind not in FOLDED_KINDS:
        raise unknown_kind(name, kind, _HINTS)
    with errors_named(name, kind, "Convert"):
        if fold(layer):
            return
        if kind not in TRANSLATIONS:
            raise unknown_kind(name, f"{kind} of computed values", _HINTS)
        for node in TRANSLATIONS[kind](layer):
            READERS[node.kind](node, layer.context)


def _finished(model: ModelRecord, builder: GraphBuilder) -> Graph:
    name = str(model.outputs[0])
    if name not in builder.activations:
        raise UnsupportedModelError("nothing computes the model's output. Convert it again.")
    output = builder.activations[name]
    if builder.tensors[output.tensor].quantisation is None:
        raise UnsupportedModelError(
            "the model computes in floating point. Convert it with full integer quantisation "
            "(TFLITE_BUILTINS_INT8, a representative dataset)."
        )
    given = model.tensors[model.inputs[0]].shape
    return replace(
        builder.graph(in_file_order(builder, output, "output")),
        input_layout=FileLayout(given, tuple(range(len(given)))),
        output_layout=FileLayout(output.view.shape, tuple(range(len(output.view.shape)))),
    )

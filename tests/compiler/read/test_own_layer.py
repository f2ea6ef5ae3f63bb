"""A TFLite layer from outside the package needs a translation, and a reader where ONNX has none."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from automcu.compiler import import_model
from automcu.compiler.graph import run_reference
from automcu.compiler.read.node import READERS, ImportContext, Node, reader
from automcu.compiler.read.nodes.functions import apply_function
from automcu.compiler.read.tflite_layers import Layer
from automcu.compiler.read.tflite_translations import TRANSLATIONS, translation
from automcu.errors import UnsupportedModelError
from tests.compiler.read.tflite_writer import TfliteWriter


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with a sine, which no reader of the package knows."""
    writer = TfliteWriter()
    x, y = writer.activation((1, 256), 0.02, 7), writer.activation((1, 256), 1 / 128, 0)
    writer.layer("SIN", (x,), y)
    path = tmp_path / "model.tflite"
    path.write_bytes(writer.content(x, y))
    return path


@pytest.fixture
def _sine() -> Iterator[None]:
    """A translation and a reader of it."""

    @translation("SIN")
    def _translated(layer: Layer) -> Iterator[Node]:
        yield layer.last_node("Sin", [layer.computed()])

    @reader("Sin")
    def _read(node: Node, context: ImportContext) -> None:
        source = context.activation(node)
        context.set_output(
            node, apply_function(context.builder, node.layer, source, "sine", np.sin)
        )

    yield
    del TRANSLATIONS["SIN"], READERS["Sin"]


def test_without_a_translation_the_layer_is_named(path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="tensor_1 is a SIN"):
        import_model(path)


@pytest.mark.usefixtures("_sine")
def test_a_layer_with_its_own_translation_and_reader_is_computed(path: Path) -> None:
    graph = import_model(path)
    values = np.arange(-128, 128, dtype=np.int8)[None]
    expected = np.sin((values - 7.0) * 0.02) * 128
    assert np.abs(run_reference(graph, values) - expected).max() <= 1

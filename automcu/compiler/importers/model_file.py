"""Model files of either format, told apart by what they hold."""

from pathlib import Path

from automcu.compiler.graph import Graph
from automcu.compiler.importers.content import read_content
from automcu.compiler.importers.onnx_file import import_onnx
from automcu.compiler.importers.tflite_file import IDENTIFIER, import_tflite


def import_model(path: Path) -> Graph:
    """Read a quantised TFLite or ONNX model, whatever its file is called.

    Raises:
        WrongInputError: the file cannot be read.
        UnsupportedModelError: it is damaged, is not quantised, or holds an operator that cannot be
            compiled; the message names it.
    """
    is_tflite = read_content(path)[4:8] == IDENTIFIER
    return import_tflite(path) if is_tflite else import_onnx(path)

"""Model files to graphs: TFLite and ONNX, told apart by what they hold."""

from pathlib import Path

from automcu.compiler.graph import Graph
from automcu.compiler.passes import optimise
from automcu.compiler.read.file_tensor import read_content
from automcu.compiler.read.onnx import import_onnx
from automcu.compiler.read.tflite import IDENTIFIER, import_tflite

__all__ = ["check_computable", "import_model", "import_onnx", "import_tflite"]


def check_computable(graph: Graph) -> None:
    """See that every operator has integers, as it will be computed.

    Kernels are chosen, and costs known, from shapes alone. What says that a model fits and what
    writes its C must refuse the same ones, so both read it here.

    Raises:
        UnsupportedModelError: an accumulator could overflow, or scales cannot be represented.
    """
    optimised = optimise(graph)
    for operator in optimised.operators:
        operator.lower(optimised)


def import_model(path: Path) -> Graph:
    """Read a quantised TFLite or ONNX model, whatever its file is called.

    Raises:
        WrongInputError: the file cannot be read.
        UnsupportedModelError: it is damaged, is not quantised, or holds an operator that cannot be
            compiled, or scales that cannot be computed with; the message names it.
    """
    is_tflite = read_content(path)[4:8] == IDENTIFIER
    graph = import_tflite(path) if is_tflite else import_onnx(path)
    check_computable(graph)
    return graph

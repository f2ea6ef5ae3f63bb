"""Quantised model file → graph → passes → program → C, and the integer reference beside it."""

from automcu.compiler.compile import Program, compile_graph
from automcu.compiler.graph import (
    Graph,
    Operator,
    Quantisation,
    Tensor,
    run_all_tensors,
    run_reference,
)
from automcu.compiler.passes import optimise
from automcu.compiler.project import Project, quantise_inputs, write_golden, write_project
from automcu.compiler.read import import_model, import_onnx, import_tflite
from automcu.compiler.render import model_hash, render_model

__all__ = [
    "Graph",
    "Operator",
    "Program",
    "Project",
    "Quantisation",
    "Tensor",
    "compile_graph",
    "import_model",
    "import_onnx",
    "import_tflite",
    "model_hash",
    "optimise",
    "quantise_inputs",
    "render_model",
    "run_all_tensors",
    "run_reference",
    "write_golden",
    "write_project",
]

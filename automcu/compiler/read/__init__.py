"""Model files to graphs."""

from automcu.compiler.read.model_file import import_model
from automcu.compiler.read.onnx import import_onnx
from automcu.compiler.read.tflite import import_tflite

__all__ = ["import_model", "import_onnx", "import_tflite"]

"""Model files to graphs."""

from automcu.compiler.importers.model_file import import_model
from automcu.compiler.importers.onnx_file import import_onnx
from automcu.compiler.importers.tflite_file import import_tflite

__all__ = ["import_model", "import_onnx", "import_tflite"]

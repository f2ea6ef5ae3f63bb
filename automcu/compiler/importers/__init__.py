"""Model files to graphs."""

from automcu.compiler.importers.onnx_file import import_onnx

__all__ = ["import_onnx"]

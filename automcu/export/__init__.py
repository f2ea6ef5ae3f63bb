"""From a trained torch network to a quantised ONNX file, and its accuracy there."""

from automcu.export.evaluation import onnx_accuracy, onnx_logits, onnx_outputs
from automcu.export.float_islands import float_islands
from automcu.export.float_onnx import export_onnx
from automcu.export.quantise import quantise_onnx
from automcu.export.quantise_own import OwnModel, quantise_own, read_own
from automcu.export.ternary_convolutions import write_ternary_weights
from automcu.export.transformer_onnx import export_transformer

__all__ = [
    "OwnModel",
    "export_onnx",
    "export_transformer",
    "float_islands",
    "onnx_accuracy",
    "onnx_logits",
    "onnx_outputs",
    "quantise_onnx",
    "quantise_own",
    "read_own",
    "write_ternary_weights",
]

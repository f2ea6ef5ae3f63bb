"""What each ONNX operator becomes; importing this registers them all."""

from automcu.compiler.read.onnx_operators import (
    constants,
    elementwise,
    movement,
    quantisation,
    spatial,
    transformer,
)
from automcu.compiler.read.onnx_operators.elementwise import FUNCTION_KINDS
from automcu.compiler.read.onnx_operators.node import OPERATORS, Node, Reading, node_of, text

__all__ = [
    "FUNCTION_KINDS",
    "OPERATORS",
    "Node",
    "Reading",
    "constants",
    "elementwise",
    "movement",
    "node_of",
    "quantisation",
    "spatial",
    "text",
    "transformer",
]

"""The operators: one idea a file, with attributes, shape, integers, reference and portable kernel.

A kernel's C template lies beside the operator.
"""

from automcu.compiler.ops.arithmetic import Add, AddConstant, Multiply
from automcu.compiler.ops.attention import Attention
from automcu.compiler.ops.convolution import Convolution
from automcu.compiler.ops.movement import Concatenate, Pad, Rearrange
from automcu.compiler.ops.normalise import LayerNorm, Softmax
from automcu.compiler.ops.pointwise import Lookup, Rescale
from automcu.compiler.ops.pool import AveragePool, MaxPool

__all__ = [
    "Add",
    "AddConstant",
    "Attention",
    "AveragePool",
    "Concatenate",
    "Convolution",
    "LayerNorm",
    "Lookup",
    "MaxPool",
    "Multiply",
    "Pad",
    "Rearrange",
    "Rescale",
    "Softmax",
]

"""What the operators compute: one file each, with attributes, shape, integers and reference."""

from automcu.compiler.ops.add import Add
from automcu.compiler.ops.add_constant import AddConstant
from automcu.compiler.ops.attention import Attention
from automcu.compiler.ops.concatenate import Concatenate
from automcu.compiler.ops.convolution import Convolution
from automcu.compiler.ops.layer_norm import LayerNorm
from automcu.compiler.ops.lookup import Lookup
from automcu.compiler.ops.multiply import Multiply
from automcu.compiler.ops.pad import Pad
from automcu.compiler.ops.pool import AveragePool, MaxPool
from automcu.compiler.ops.rearrange import Rearrange
from automcu.compiler.ops.rescale import Rescale
from automcu.compiler.ops.softmax import Softmax
from automcu.compiler.ops.table import Attributes, Integers, definition_of
from automcu.compiler.tiling.operator import Stage, Stripes

__all__ = [
    "Add",
    "AddConstant",
    "Attention",
    "Attributes",
    "AveragePool",
    "Concatenate",
    "Convolution",
    "Integers",
    "LayerNorm",
    "Lookup",
    "MaxPool",
    "Multiply",
    "Pad",
    "Rearrange",
    "Rescale",
    "Softmax",
    "Stage",
    "Stripes",
    "definition_of",
]

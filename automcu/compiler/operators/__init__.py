"""What the operators compute: one file each, with attributes, shape, integers and reference."""

from automcu.compiler.operators.add import Add
from automcu.compiler.operators.add_constant import AddConstant
from automcu.compiler.operators.attention import Attention
from automcu.compiler.operators.concatenate import Concatenate
from automcu.compiler.operators.convolution import Convolution
from automcu.compiler.operators.layer_norm import LayerNorm
from automcu.compiler.operators.lookup import Lookup
from automcu.compiler.operators.multiply import Multiply
from automcu.compiler.operators.pad import Pad
from automcu.compiler.operators.pool import AveragePool, MaxPool
from automcu.compiler.operators.rearrange import Rearrange
from automcu.compiler.operators.rescale import Rescale
from automcu.compiler.operators.softmax import Softmax
from automcu.compiler.operators.stripes import Stage, Stripes
from automcu.compiler.operators.table import Attributes, Integers, definition_of

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

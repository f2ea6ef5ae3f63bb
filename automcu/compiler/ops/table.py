"""The table of all operators. A new one adds a line here."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.fixed_point import AddScaling
from automcu.compiler.ops import (
    add,
    add_constant,
    attention,
    concatenate,
    convolution,
    layer_norm,
    lookup,
    multiply,
    pad,
    pool,
    rearrange,
    rescale,
    softmax,
)
from automcu.compiler.ops.add import Add
from automcu.compiler.ops.add_constant import AddConstant, AddConstantIntegers
from automcu.compiler.ops.attention import Attention, AttentionIntegers
from automcu.compiler.ops.concatenate import Concatenate
from automcu.compiler.ops.convolution import Convolution, ConvolutionIntegers
from automcu.compiler.ops.definition import Definition
from automcu.compiler.ops.layer_norm import LayerNorm, LayerNormIntegers
from automcu.compiler.ops.lookup import Lookup
from automcu.compiler.ops.multiply import Multiply, MultiplyIntegers
from automcu.compiler.ops.pad import Pad, PadIntegers
from automcu.compiler.ops.pool import AveragePool, AveragePoolIntegers, MaxPool
from automcu.compiler.ops.rearrange import Rearrange
from automcu.compiler.ops.rescale import Rescale, RescaleIntegers
from automcu.compiler.ops.softmax import Softmax, SoftmaxIntegers
from automcu.compiler.tiling import operator
from automcu.compiler.tiling.operator import Stripes

Attributes = (
    Add
    | AddConstant
    | Attention
    | AveragePool
    | Concatenate
    | Convolution
    | LayerNorm
    | Lookup
    | MaxPool
    | Multiply
    | Pad
    | Rearrange
    | Rescale
    | Softmax
    | Stripes
)

Integers = (
    AddConstantIntegers
    | AddScaling
    | AttentionIntegers
    | AveragePoolIntegers
    | ConvolutionIntegers
    | LayerNormIntegers
    | MultiplyIntegers
    | NDArray[np.int8]
    | PadIntegers
    | RescaleIntegers
    | SoftmaxIntegers
    | tuple[Any, ...]
    | None
)

DEFINITIONS: dict[type[Attributes], Definition[Any, Any]] = {
    Add: add.DEFINITION,
    AddConstant: add_constant.DEFINITION,
    Attention: attention.DEFINITION,
    AveragePool: pool.AVERAGE_DEFINITION,
    Concatenate: concatenate.DEFINITION,
    Convolution: convolution.DEFINITION,
    LayerNorm: layer_norm.DEFINITION,
    Lookup: lookup.DEFINITION,
    MaxPool: pool.MAX_DEFINITION,
    Multiply: multiply.DEFINITION,
    Pad: pad.DEFINITION,
    Rearrange: rearrange.DEFINITION,
    Rescale: rescale.DEFINITION,
    Softmax: softmax.DEFINITION,
}


def definition_of(attributes: Attributes) -> Definition[Any, Any]:
    """The functions of the operator that has these attributes."""
    return DEFINITIONS[type(attributes)]


DEFINITIONS[Stripes] = operator.definition(definition_of)

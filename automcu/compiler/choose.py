"""Choosing the kernel that carries out an operator."""

from collections.abc import Callable, Mapping
from functools import partial

from automcu.compiler.cycles import cheapest
from automcu.compiler.graph import Graph, Operator
from automcu.compiler.isa.armv7e_m.attention import armv7e_m_attention
from automcu.compiler.isa.armv7e_m.convolution import armv7e_m_convolutions
from automcu.compiler.isa.armv7e_m.depthwise import armv7e_m_depthwise
from automcu.compiler.isa.armv7e_m.elementwise import (
    armv7e_m_add,
    armv7e_m_average_pool,
    armv7e_m_rescale,
)
from automcu.compiler.isa.armv7e_m.ternary import armv7e_m_ternary
from automcu.compiler.isa.xtensa_lx7.attention import attention_words
from automcu.compiler.isa.xtensa_lx7.ternary import ternary_lanes
from automcu.compiler.kernel import Kernel
from automcu.compiler.ops import (
    Add,
    AddConstant,
    Attention,
    Attributes,
    AveragePool,
    Concatenate,
    Convolution,
    LayerNorm,
    Lookup,
    MaxPool,
    Multiply,
    Pad,
    Rearrange,
    Rescale,
    Softmax,
    Stripes,
)
from automcu.compiler.ops.portable_convolution import portable_convolution
from automcu.compiler.ops.portable_copies import (
    portable_concatenate,
    portable_pad,
    portable_rearrange,
)
from automcu.compiler.ops.portable_elementwise import (
    portable_add,
    portable_lookup,
    portable_multiply,
    portable_rescale,
)
from automcu.compiler.ops.portable_pool import (
    portable_average_pool,
    portable_max_pool,
)
from automcu.compiler.ops.portable_softmax import portable_softmax
from automcu.compiler.ops.portable_ternary import portable_ternary
from automcu.compiler.ops.portable_transformer import (
    portable_add_constant,
    portable_attention,
    portable_layer_norm,
)
from automcu.compiler.tiling.kernel import stripes_kernel
from automcu.mcu.profile import Core, Device

Factory = Callable[[Operator, Graph], Kernel]

SpecialFactory = Callable[[Operator, Graph, Core], tuple[Kernel, ...]]

Choose = Callable[[Operator, Graph, Device], Kernel]

ARMV7E_M: dict[type[Attributes], tuple[SpecialFactory, ...]] = {
    Convolution: (armv7e_m_convolutions, armv7e_m_depthwise),
    Add: (armv7e_m_add,),
    Attention: (armv7e_m_attention,),
    AveragePool: (armv7e_m_average_pool,),
    Rescale: (armv7e_m_rescale,),
}
PORTABLE: dict[type[Attributes], Factory] = {
    Convolution: portable_convolution,
    Add: portable_add,
    AddConstant: portable_add_constant,
    Attention: portable_attention,
    AveragePool: portable_average_pool,
    MaxPool: portable_max_pool,
    Rescale: portable_rescale,
    Concatenate: portable_concatenate,
    LayerNorm: portable_layer_norm,
    Lookup: portable_lookup,
    Multiply: portable_multiply,
    Pad: portable_pad,
    Rearrange: portable_rearrange,
    Softmax: portable_softmax,
}


_LX7 = "xtensa-lx7"
_COMPILERS = ("gcc", "zig")  # whose figures decide, the first of them that the profile has


def choose_kernel(operator: Operator, graph: Graph, device: Device) -> Kernel:
    """The kernel for one operator: of those that can carry it out the one of fewest cycles.

    Cycles are modelled with the profile's figures, the same whatever compiler is installed here.
    """
    if isinstance(operator.attributes, Stripes):
        return stripes_kernel(operator, graph, partial(choose_kernel, device=device))
    return cheapest(candidates(operator, graph, device), figures_of_choice(device))


def candidates(operator: Operator, graph: Graph, device: Device) -> tuple[Kernel, ...]:
    """The kernels that can carry out an operator, the one that usually wins first."""
    special: tuple[Kernel, ...] = ()
    attributes = operator.attributes
    if isinstance(attributes, Convolution) and attributes.ternary:
        if "dsp" in device.isa:
            special = armv7e_m_ternary(operator, graph)
        elif device.core == _LX7:
            special = (ternary_lanes(operator, graph),)
    elif "dsp" in device.isa:
        special = tuple(
            kernel
            for factory in ARMV7E_M.get(type(operator.attributes), ())
            for kernel in factory(operator, graph, device.core)
        )
    elif device.core == _LX7 and isinstance(attributes, Attention):
        special = attention_words(operator, graph)
    return (*special, portable_kernel(operator, graph))


def portable_kernel(operator: Operator, graph: Graph) -> Kernel:
    """The kernel in C99 that any core can run."""
    attributes = operator.attributes
    if isinstance(attributes, Stripes):
        return stripes_kernel(operator, graph, portable_kernel)
    if isinstance(attributes, Convolution) and attributes.ternary:
        return portable_ternary(operator, graph)
    return PORTABLE[type(attributes)](operator, graph)


def figures_of_choice(device: Device) -> Mapping[str, float]:
    """The coefficients that choices go by; empty where the profile has none."""
    known = {latency.compiler: latency.coefficients for latency in device.latency}
    return next((known[compiler] for compiler in _COMPILERS if compiler in known), {})

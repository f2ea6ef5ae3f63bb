"""Choosing the kernel that carries out an operator."""

from collections.abc import Callable
from functools import partial

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernels.armv7e_m.convolution import armv7e_m_convolution
from automcu.compiler.kernels.armv7e_m.depthwise import armv7e_m_depthwise
from automcu.compiler.kernels.armv7e_m.elementwise import (
    armv7e_m_add,
    armv7e_m_average_pool,
    armv7e_m_rescale,
)
from automcu.compiler.kernels.kernel import Kernel
from automcu.compiler.kernels.portable_convolution import portable_convolution
from automcu.compiler.kernels.portable_copies import (
    portable_concatenate,
    portable_pad,
    portable_rearrange,
)
from automcu.compiler.kernels.portable_elementwise import (
    portable_add,
    portable_lookup,
    portable_multiply,
    portable_rescale,
)
from automcu.compiler.kernels.portable_pool import portable_average_pool, portable_max_pool
from automcu.compiler.kernels.portable_softmax import portable_softmax
from automcu.compiler.kernels.stripes import stripes_kernel
from automcu.compiler.operators import (
    Add,
    Attributes,
    AveragePool,
    Concatenate,
    Convolution,
    Lookup,
    MaxPool,
    Multiply,
    Pad,
    Rearrange,
    Rescale,
    Softmax,
    Stripes,
)
from automcu.devices.profile import Device

Factory = Callable[[Operator, Graph], Kernel]

SpecialFactory = Callable[[Operator, Graph], Kernel | None]

ARMV7E_M: dict[type[Attributes], tuple[SpecialFactory, ...]] = {
    Convolution: (armv7e_m_convolution, armv7e_m_depthwise),
    Add: (armv7e_m_add,),
    AveragePool: (armv7e_m_average_pool,),
    Rescale: (armv7e_m_rescale,),
}
PORTABLE: dict[type[Attributes], Factory] = {
    Convolution: portable_convolution,
    Add: portable_add,
    AveragePool: portable_average_pool,
    MaxPool: portable_max_pool,
    Rescale: portable_rescale,
    Concatenate: portable_concatenate,
    Lookup: portable_lookup,
    Multiply: portable_multiply,
    Pad: portable_pad,
    Rearrange: portable_rearrange,
    Softmax: portable_softmax,
}


def choose_kernel(operator: Operator, graph: Graph, device: Device) -> Kernel:
    """The kernel for one operator: the device's own where it has one of this shape."""
    if isinstance(operator.attributes, Stripes):
        return stripes_kernel(operator, graph, partial(choose_kernel, device=device))
    if "dsp" in device.isa:
        for factory in ARMV7E_M.get(type(operator.attributes), ()):
            kernel = factory(operator, graph)
            if kernel is not None:
                return kernel
    return PORTABLE[type(operator.attributes)](operator, graph)

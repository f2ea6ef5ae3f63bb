"""Choosing the kernel that carries out an operator."""

from collections.abc import Callable

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernels.kernel import Kernel
from automcu.compiler.kernels.portable_convolution import portable_convolution
from automcu.compiler.kernels.portable_elementwise import portable_add, portable_rescale
from automcu.compiler.kernels.portable_pool import portable_average_pool, portable_max_pool
from automcu.compiler.operators import Add, Attributes, AveragePool, Convolution, MaxPool, Rescale

Factory = Callable[[Operator, Graph], Kernel]

PORTABLE: dict[type[Attributes], Factory] = {
    Convolution: portable_convolution,
    Add: portable_add,
    AveragePool: portable_average_pool,
    MaxPool: portable_max_pool,
    Rescale: portable_rescale,
}


def choose_kernel(operator: Operator, graph: Graph) -> Kernel:
    """The kernel for one operator."""
    return PORTABLE[type(operator.attributes)](operator, graph)

"""Kernels: which C function carries out an operator on a core."""

from automcu.compiler.kernels.kernel import ArrayShape, Kernel, LayerConstants
from automcu.compiler.kernels.selection import (
    Choose,
    candidates,
    choose_kernel,
    portable_kernel,
)

__all__ = [
    "ArrayShape",
    "Choose",
    "Kernel",
    "LayerConstants",
    "candidates",
    "choose_kernel",
    "portable_kernel",
]

"""Kernels: which C function carries out an operator on a core."""

from automcu.compiler.kernels.kernel import ArrayShape, Kernel, LayerConstants
from automcu.compiler.kernels.selection import choose_kernel

__all__ = ["ArrayShape", "Kernel", "LayerConstants", "choose_kernel"]

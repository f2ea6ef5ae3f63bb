"""Kernels for one instruction set each, which register themselves: importing this loads them."""

from automcu.compiler.isa import armv7e_m, xtensa_lx7
from automcu.compiler.isa.instruction_set import INSTRUCTION_SETS

__all__ = ["INSTRUCTION_SETS", "armv7e_m", "xtensa_lx7"]

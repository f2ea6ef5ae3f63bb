"""Kernels for the LX7 of the ESP32-S3: in C, for 32 bits without packed arithmetic."""

from automcu.compiler.isa.xtensa_lx7 import kernels

__all__ = ["kernels"]

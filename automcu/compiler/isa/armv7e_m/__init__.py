"""Kernels for armv7e-m cores: Cortex-M4, M7 and M33 with the DSP extension."""

from automcu.compiler.isa.armv7e_m import attention, convolution, depthwise, elementwise, ternary

__all__ = ["attention", "convolution", "depthwise", "elementwise", "ternary"]

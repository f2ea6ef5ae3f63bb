"""Kernels for one instruction set each."""

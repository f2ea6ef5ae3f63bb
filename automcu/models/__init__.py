"""Torch modules of the networks that automcu trains."""

from automcu.models.nas_bench_201 import build_benchmark_network, build_network

__all__ = ["build_benchmark_network", "build_network"]

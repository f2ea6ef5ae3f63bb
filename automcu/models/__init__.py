"""Torch modules of the networks that automcu trains."""

from automcu.models.nas_bench_201 import build_benchmark_network, build_network
from automcu.models.ternary import with_ternary_values
from automcu.models.timm_weights import read_timm_weights, transformer_from_timm
from automcu.models.vision_transformer import (
    VisionTransformer,
    build_vision_transformer,
    without_class_token,
)

__all__ = [
    "VisionTransformer",
    "build_benchmark_network",
    "build_network",
    "build_vision_transformer",
    "read_timm_weights",
    "transformer_from_timm",
    "with_ternary_values",
    "without_class_token",
]

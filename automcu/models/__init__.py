"""Torch modules of the networks that automcu trains, and ratings of untrained ones."""

from automcu.models.nas_bench_201 import build_benchmark_network, build_network
from automcu.models.ternary import with_ternary_values
from automcu.models.timm_weights import read_timm_weights, transformer_from_timm
from automcu.models.vision_transformer import (
    VisionTransformer,
    build_vision_transformer,
    without_class_token,
)
from automcu.models.zero_cost import ZeroCostScore, mean_ranks, zero_cost_scores

__all__ = [
    "VisionTransformer",
    "ZeroCostScore",
    "build_benchmark_network",
    "build_network",
    "build_vision_transformer",
    "mean_ranks",
    "read_timm_weights",
    "transformer_from_timm",
    "with_ternary_values",
    "without_class_token",
    "zero_cost_scores",
]

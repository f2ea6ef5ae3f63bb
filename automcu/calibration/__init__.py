"""Fitting the cost models to what boards, virtual or real, take for networks made for it."""

from automcu.calibration.calibrate import (
    Calibration,
    NetworkErrors,
    calibrate,
    latency_record,
    network_errors,
    observe_all,
    with_figures,
)
from automcu.calibration.layer_chain import LayerChain
from automcu.calibration.microbenchmarks import chain
from automcu.calibration.networks import (
    HELD_OUT,
    HELD_OUT_TRANSFORMERS,
    arena_limit_bytes,
    calibration_graphs,
    deep_graphs,
    random_architectures,
    small_graphs,
    transformer_graphs,
)
from automcu.calibration.observe import CodeObservation, Observed, observe, observe_code
from automcu.calibration.random_weights import varied_choice

__all__ = [
    "HELD_OUT",
    "HELD_OUT_TRANSFORMERS",
    "Calibration",
    "CodeObservation",
    "LayerChain",
    "NetworkErrors",
    "Observed",
    "arena_limit_bytes",
    "calibrate",
    "calibration_graphs",
    "chain",
    "deep_graphs",
    "latency_record",
    "network_errors",
    "observe",
    "observe_all",
    "observe_code",
    "random_architectures",
    "small_graphs",
    "transformer_graphs",
    "varied_choice",
    "with_figures",
]

"""Fitting the cost models to what boards, virtual or real, take for networks made for it."""

from automcu.calibration.calibrate import (
    Calibration,
    NetworkErrors,
    calibrate,
    observe,
    observe_code,
    varied_choice,
    with_figures,
)
from automcu.calibration.networks import (
    HELD_OUT,
    LayerChain,
    calibration_graphs,
    chain,
    random_architectures,
    with_random_weights,
)

__all__ = [
    "HELD_OUT",
    "Calibration",
    "LayerChain",
    "NetworkErrors",
    "calibrate",
    "calibration_graphs",
    "chain",
    "observe",
    "observe_code",
    "random_architectures",
    "varied_choice",
    "with_figures",
    "with_random_weights",
]

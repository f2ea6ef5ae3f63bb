"""Fitting the cost models to what boards, virtual or real, take for networks made for it."""

from automcu.calibration.microbenchmarks import chain
from automcu.calibration.observe import CodeObservation, Observed, observe

__all__ = ["CodeObservation", "Observed", "chain", "observe"]

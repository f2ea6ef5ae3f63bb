"""What an architecture costs on a device, without training it, and whether that fits."""

from automcu.cost.estimate import estimate, estimate_program
from automcu.cost.records import Estimate, FeasibleCell, LayerCost, Limit, Survey, Verdict
from automcu.cost.survey import survey
from automcu.cost.survey_cache import cached_survey
from automcu.cost.verdict import check

__all__ = [
    "Estimate",
    "FeasibleCell",
    "LayerCost",
    "Limit",
    "Survey",
    "Verdict",
    "cached_survey",
    "check",
    "estimate",
    "estimate_program",
    "survey",
]

"""What an architecture costs on a device, without training it, and whether that fits."""

from automcu.cost.estimate import estimate, estimate_program
from automcu.cost.records import (
    Estimate,
    FeasibleCell,
    LayerCost,
    Limit,
    Remedy,
    Survey,
    Verdict,
)
from automcu.cost.remedies import architecture_remedies, board_remedies, with_remedies
from automcu.cost.survey import survey
from automcu.cost.survey_cache import cached_survey
from automcu.cost.verdict import check

__all__ = [
    "Estimate",
    "FeasibleCell",
    "LayerCost",
    "Limit",
    "Remedy",
    "Survey",
    "Verdict",
    "architecture_remedies",
    "board_remedies",
    "cached_survey",
    "check",
    "estimate",
    "estimate_program",
    "survey",
    "with_remedies",
]

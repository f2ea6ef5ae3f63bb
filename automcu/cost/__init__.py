"""What an architecture costs on a device, without training it, and whether that fits."""

from typing import TYPE_CHECKING

from automcu.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from automcu.cost.estimation import estimate, estimate_program
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
    from automcu.cost.space_survey import survey
    from automcu.cost.survey_cache import cached_survey
    from automcu.cost.verdict import check
else:
    __getattr__ = lazy_exports(
        __name__,
        {
            "estimation": (
                "estimate",
                "estimate_program",
            ),
            "records": (
                "Estimate",
                "FeasibleCell",
                "LayerCost",
                "Limit",
                "Remedy",
                "Survey",
                "Verdict",
            ),
            "remedies": (
                "architecture_remedies",
                "board_remedies",
                "with_remedies",
            ),
            "space_survey": ("survey",),
            "survey_cache": ("cached_survey",),
            "verdict": ("check",),
        },
    )

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

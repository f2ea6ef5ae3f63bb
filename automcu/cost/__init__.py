"""What an architecture costs on a device, without training it, and whether that fits."""

from typing import TYPE_CHECKING

from automcu.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from automcu.cost.estimation import estimate, estimate_program
    from automcu.cost.records import (
        ByRows,
        Estimate,
        FeasibleCell,
        LayerCost,
        Limit,
        Remedy,
        Survey,
        SurveyOverview,
        Verdict,
    )
    from automcu.cost.remedies import (
        architecture_remedies,
        bits_remedies,
        board_remedies,
        with_remedies,
    )
    from automcu.cost.space_survey import survey
    from automcu.cost.survey_cache import cached_overview, cached_survey
    from automcu.cost.transformer_survey import survey_transformers
    from automcu.cost.verdict import check
    from automcu.cost.within_ram import by_rows, compile_within
else:
    __getattr__ = lazy_exports(
        __name__,
        {
            "estimation": (
                "estimate",
                "estimate_program",
            ),
            "records": (
                "ByRows",
                "Estimate",
                "FeasibleCell",
                "LayerCost",
                "Limit",
                "Remedy",
                "Survey",
                "SurveyOverview",
                "Verdict",
            ),
            "remedies": (
                "architecture_remedies",
                "bits_remedies",
                "board_remedies",
                "with_remedies",
            ),
            "space_survey": ("survey",),
            "survey_cache": ("cached_overview", "cached_survey"),
            "transformer_survey": ("survey_transformers",),
            "verdict": ("check",),
            "within_ram": ("by_rows", "compile_within"),
        },
    )

__all__ = [
    "ByRows",
    "Estimate",
    "FeasibleCell",
    "LayerCost",
    "Limit",
    "Remedy",
    "Survey",
    "SurveyOverview",
    "Verdict",
    "architecture_remedies",
    "bits_remedies",
    "board_remedies",
    "by_rows",
    "cached_overview",
    "cached_survey",
    "check",
    "compile_within",
    "estimate",
    "estimate_program",
    "survey",
    "survey_transformers",
    "with_remedies",
]

"""The result for people: tables in the terminal and a self-contained HTML page."""

from typing import TYPE_CHECKING

from automcu.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from automcu.report.html import render_html, write_html
    from automcu.report.record import (
        AccuracyFinding,
        AgentFinding,
        ArenaTensor,
        CandidateFinding,
        Findings,
        SkeletonFinding,
        SpaceFinding,
    )
    from automcu.report.reliability import data_warnings, measurement_warnings
    from automcu.report.terminal import result_rows, summary, understood_table
else:
    __getattr__ = lazy_exports(
        __name__,
        {
            "html": (
                "render_html",
                "write_html",
            ),
            "record": (
                "AccuracyFinding",
                "AgentFinding",
                "ArenaTensor",
                "CandidateFinding",
                "Findings",
                "SkeletonFinding",
                "SpaceFinding",
            ),
            "reliability": ("data_warnings", "measurement_warnings"),
            "terminal": (
                "result_rows",
                "summary",
                "understood_table",
            ),
        },
    )

__all__ = [
    "AccuracyFinding",
    "AgentFinding",
    "ArenaTensor",
    "CandidateFinding",
    "Findings",
    "SkeletonFinding",
    "SpaceFinding",
    "data_warnings",
    "measurement_warnings",
    "render_html",
    "result_rows",
    "summary",
    "understood_table",
    "write_html",
]

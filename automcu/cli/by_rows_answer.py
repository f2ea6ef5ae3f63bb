"""How it is told that layers run some rows at a time: what that gains and what it costs."""

from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Group

from automcu.cli.answer import Answer
from automcu.report.wording import kilobytes

if TYPE_CHECKING:
    from automcu.cost.records import ByRows, Estimate


def with_by_rows(answer: Answer, by_rows: "ByRows | None", estimate: "Estimate") -> Answer:
    """The answer, with the comparison under `by_rows` and a line if there is one."""
    document = {**answer.document, "by_rows": by_rows.model_dump() if by_rows else None}
    if by_rows is None:
        return replace(answer, document=document)
    return replace(answer, document=document, shown=Group(answer.shown, _line(by_rows, estimate)))


def _line(by_rows: "ByRows", estimate: "Estimate") -> str:
    cycles = estimate.cycles / by_rows.cycles_whole - 1
    flash = estimate.flash_bytes - by_rows.flash_bytes_whole
    return (
        f"Some rows at a time: {', '.join(by_rows.layers)}. "
        f"Arena {kilobytes(estimate.arena_bytes)} instead of "
        f"{kilobytes(by_rows.arena_bytes_whole)}, for {cycles:+.1%} cycles and "
        f"{flash:+,} bytes of flash (modelled); no row is computed twice"
    )

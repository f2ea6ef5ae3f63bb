"""A measurement for people."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from automcu.boards.records import LayerCycles, Measurement


def shown(
    found: "Measurement",
    table: Path,
    notes: tuple[str, ...] = (),
    warnings: tuple[str, ...] = (),
) -> "RenderableType":
    """The layers, then what a user asks first: how fast, how right, how much memory."""
    from rich.console import Group
    from rich.text import Text

    from automcu.report.terminal import warning_lines
    from automcu.report.wording import executed_by, milliseconds

    spread, executed = found.latency_ms, executed_by(found)
    return Group(
        _layers(found.layers),
        f"{found.board}: {milliseconds(spread.median)} median of {found.runs} runs "
        f"({found.latency_source}; min {milliseconds(spread.min)}, "
        f"95 % {milliseconds(spread.p95)}), {found.cycles:,} cycles{_estimate(found)}",
        f"{found.inputs - found.mismatches} of {found.inputs} answers equal the integer "
        f"reference, {_accuracy(found)}; stack {found.stack_bytes:,} bytes, "
        f"arena {found.arena_bytes:,} bytes. {executed[0].upper()}{executed[1:]}",
        *map(Text, notes),
        *warning_lines(warnings),
        f"Added to {table}",
    )


def _layers(layers: "tuple[LayerCycles, ...]") -> "Table":
    from rich import box
    from rich.table import Table

    from automcu.report.wording import percent

    estimated = any(layer.estimated for layer in layers)
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("layer", overflow="fold")
    for heading in ("cycles", "share", *(("estimated", "off by") if estimated else ())):
        table.add_column(heading, justify="right")
    total = max(1, sum(layer.cycles for layer in layers))
    for layer in layers:
        cells = [layer.name, f"{layer.cycles:,}", percent(layer.cycles / total)]
        if layer.estimated:
            off = f"{100 * (layer.estimated / max(1, layer.cycles) - 1):+.1f} %"
            cells += [f"{layer.estimated:,}", off]
        table.add_row(*cells)
    return table


def _estimate(found: "Measurement") -> str:
    promised = sum(layer.estimated or 0 for layer in found.layers)
    if not promised or not found.cycles:
        return ""
    return f", estimated {promised:,} ({100 * (promised / found.cycles - 1):+.1f} %)"


def _accuracy(found: "Measurement") -> str:
    from automcu.report.wording import percent

    if found.accuracy is None:
        return "no labels"
    where = f" on {found.test_inputs} test inputs" if found.test_inputs else ""
    return f"accuracy {percent(found.accuracy)}{where}"

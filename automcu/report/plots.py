"""The report's pictures as inline SVG. Text stays text, so it can be searched and scales well."""

import io
import re
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from automcu.errors import one_line
from automcu.report.record import Findings
from automcu.report.wording import kilobytes, latency_word

_INK = "#1f2933"
_MUTED = "#7b8794"
_ACCENT = "#0b7285"
_LIMIT = "#c92a2a"
_CATEGORIES = (
    *("#0b7285", "#e8590c", "#5f3dc4", "#2b8a3e", "#c2255c", "#1864ab", "#e67700", "#495057"),
    *("#66a80f", "#9c36b5"),
)
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a name may hold dollar signs
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": _MUTED,
    "axes.labelcolor": _INK,
    "text.color": _INK,
    "xtick.color": _MUTED,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_WIDTH_INCHES = 8.6
# A little above 100 %, so that a perfect network's point is whole.
_PERFECT = 100.4
_MOST_BARS = 48
# A rectangle lower than this share of the picture has no room for a name.
_LABEL_SHARE = 0.055


def accuracy_over_latency(findings: Findings) -> str:
    """Return the trained candidates as points: modelled latency against int8 accuracy."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH_INCHES, 2.9), layout="constrained")
        axes = figure.subplots()
        for candidate in findings.candidates:
            point = candidate.latency_ms, 100 * candidate.int8_accuracy
            colour = _ACCENT if candidate.chosen else _MUTED
            axes.plot(*point, "o", color=colour, markersize=11 if candidate.chosen else 8)
            label = f"{candidate.rank}{' (deployed)' if candidate.chosen else ''}"
            axes.annotate(
                label, point, xytext=(-9, 5), textcoords="offset points", color=colour, ha="right"
            )
        limit = findings.brief.max_latency_ms
        if limit:
            axes.axvline(limit, color=_LIMIT, linewidth=1, linestyle="--")
            axes.annotate(
                f"limit {limit:g} ms",
                (limit, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(-4, -2),
                textcoords="offset points",
                color=_LIMIT,
                ha="right",
                va="top",
            )
        axes.set_xlim(left=0)
        axes.margins(x=0.12, y=0.3)
        axes.set_ylim(top=min(axes.get_ylim()[1], _PERFECT))
        axes.set_xlabel("modelled latency in ms")
        axes.set_ylabel("int8 accuracy on\nvalidation data in %")
        axes.grid(axis="y", color="#e4e7eb", linewidth=0.8)
        return _svg(figure, "Accuracy against latency of the trained networks")


def latency_per_layer(findings: Findings) -> str:
    """Return a bar per layer: the board's cycles, and the estimate as a tick on each bar."""
    clock = findings.device.clock_hz / 1e3
    rows = [(layer.name, layer.cycles / clock) for layer in findings.measurement.layers]
    shown, others = _slowest([value for _, value in rows])
    rows = [rows[at] for at in shown]
    ticks = _estimated(findings, shown)
    with matplotlib.rc_context(_STYLE):
        height = 1.1 + 0.19 * len(rows)
        figure = Figure(figsize=(_WIDTH_INCHES, height), layout="constrained")
        axes = figure.subplots()
        positions = range(len(rows))
        axes.barh(
            positions,
            [value for _, value in rows],
            color=_ACCENT,
            height=0.68,
            label=latency_word(findings),
        )
        if ticks:
            axes.plot(
                ticks,
                positions,
                "|",
                color=_CATEGORIES[1],
                markersize=9,
                markeredgewidth=2,
                label="estimate before training (modelled)",
            )
        axes.set_yticks(positions, [one_line(name) for name, _ in rows], fontsize=8)
        axes.invert_yaxis()
        axes.set_xlabel(f"ms{others}")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
        axes.margins(y=0.01)
        return _svg(figure, "Latency per layer")


def _slowest(values: list[float]) -> tuple[list[int], str]:
    """Return the positions of the slowest layers, in order, and a word on those left out."""
    ranking = sorted(range(len(values)), key=lambda at: -values[at])
    kept, hidden = sorted(ranking[:_MOST_BARS]), ranking[_MOST_BARS:]
    if not hidden:
        return kept, ""
    rest = sum(values[at] for at in hidden)
    return kept, f" ({len(hidden)} faster layers, {rest:.2g} ms together, not shown)"


def _estimated(findings: Findings, shown: list[int]) -> list[float]:
    """Return the estimated milliseconds of the layers shown; none where programs differ.

    The estimate names layers after the architecture, the board after the ONNX file; both hold
    the same program, so the layers correspond by position.
    """
    layers = findings.estimate.layers
    if len(layers) != len(findings.measurement.layers):
        return []
    return [layers[at].cycles / (findings.device.clock_hz / 1e3) for at in shown]


def memory_plan(findings: Findings) -> str:
    """Return the arena as a picture: every tensor a rectangle of its lifetime and its bytes."""
    arena = findings.build.arena_bytes
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH_INCHES, 3.6), layout="constrained")
        axes = figure.subplots()
        for number, tensor in enumerate(findings.arena):
            axes.add_patch(
                Rectangle(
                    (tensor.first_step - 0.5, tensor.offset),
                    tensor.last_step - tensor.first_step + 1,
                    tensor.bytes,
                    facecolor=_CATEGORIES[number % len(_CATEGORIES)],
                    alpha=0.78,
                    edgecolor="white",
                    linewidth=0.8,
                )
            )
        steps = max((tensor.last_step for tensor in findings.arena), default=0)
        axes.set_xlim(-0.6, steps + 0.6)
        axes.set_ylim(0, arena * 1.08)
        axes.axhline(arena, color=_LIMIT, linewidth=1, linestyle="--")
        axes.text(
            steps + 0.5,
            arena * 1.01,
            f"arena {arena:,} bytes ({kilobytes(arena)})",
            color=_LIMIT,
            ha="right",
            va="bottom",
        )
        _label_tensors(axes, findings)
        axes.set_xlabel("step of the schedule (one layer each)")
        axes.set_ylabel("offset in the arena, bytes")
        return _svg(figure, "Tensors in the arena over time")


def _label_tensors(axes: Axes, findings: Findings) -> None:
    """Write a tensor's name into its rectangle where there is room for it."""
    steps = max((tensor.last_step for tensor in findings.arena), default=0) + 1
    for tensor in findings.arena:
        lifetime = tensor.last_step - tensor.first_step + 1
        room = lifetime / steps * _WIDTH_INCHES * 12
        if tensor.bytes < _LABEL_SHARE * findings.build.arena_bytes or room < len(tensor.tensor):
            continue
        axes.text(
            (tensor.first_step + tensor.last_step) / 2,
            tensor.offset + tensor.bytes / 2,
            one_line(tensor.tensor),
            color="white",
            ha="center",
            va="center",
            fontsize=7,
        )


def _svg(figure: Figure, title: str) -> str:
    """Return the figure as an SVG element that scales with the page and is read out by title."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, dpi=72)
    element = buffer.getvalue()
    element = element[element.index("<svg") :]
    element = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", element, count=1)
    element = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", element, count=1)
    return element.replace("<svg", f'<svg role="img" aria-label="{title}"', 1)

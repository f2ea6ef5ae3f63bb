"""How a verdict is told: the stable keys of `check --json` and `compile --json`, and a table."""

from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table

from automcu.cli.answer import Answer
from automcu.cost.records import Estimate, Limit, Verdict
from automcu.errors import EXIT_DONE, EXIT_GOAL_MISSED
from automcu.report.wording import kilobytes, modelled_milliseconds

_MOST_LAYERS_SHOWN = 60


def verdict_answer(verdict: Verdict, more: dict[str, Any] | None = None) -> Answer:
    """Return the answer for a verdict, with `more` beside the stable keys."""
    needed = verdict.estimate
    document = {
        "device": verdict.device,
        "fits": verdict.fits,
        "limits": [
            limit.model_dump(include={"limit", "needed", "available", "layer", "help", "certain"})
            for limit in verdict.limits
        ],
        "flash_bytes": needed.flash_bytes,
        "ram_bytes": needed.ram_bytes,
        "arena_bytes": needed.arena_bytes,
        "arena_lower_bound_bytes": needed.arena_lower_bound_bytes,
        "cycles": needed.cycles,
        "latency_ms": needed.latency_ms,
        "latency_percent": needed.latency_percent,
        "latency_source": "modelled",
        "clock_note": needed.clock_note,
        "energy_millijoule": needed.energy_millijoule,
        "without_figures": list(needed.guesses.layers),
        "macs": needed.macs,
        "layers": [
            layer.model_dump(include={"name", "op", "variant", "macs", "cycles"})
            | {"others": {other.variant: other.cycles for other in layer.others}}
            for layer in needed.layers
        ],
        **(more or {}),
    }
    return Answer(
        document,
        _shown(verdict),
        EXIT_DONE if verdict.fits else EXIT_GOAL_MISSED,
        " ".join(_sentence(limit, needed) for limit in verdict.limits) or None,
    )


def _sentence(limit: Limit, needed: Estimate) -> str:
    if limit.limit == "latency":
        took = modelled_milliseconds(limit.needed, needed.latency_percent)
        amounts = f"{took} are needed, {limit.available:.3g} allowed"
    elif limit.limit == "energy":
        amounts = f"{limit.needed:.3g} mJ are needed (modelled), {limit.available:.3g} allowed"
    else:
        amounts = f"{limit.needed:,.0f} bytes are needed, {limit.available:,.0f} allowed"
    remedy = f" Try {limit.help}." if limit.help else ""
    if not limit.certain:
        return (
            f"It cannot be promised to fit: of {limit.limit}, {amounts}, but part of that is a "
            f"guess (no figures for {_layers(needed)}). Build and bench it to know.{remedy}"
        )
    return f"It does not fit: of {limit.limit}, {amounts}.{remedy}"


_MOST_NAMED = 3


def _layers(needed: Estimate) -> str:
    """The layers that are guessed, the first by name."""
    names = needed.guesses.layers
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _guess_note(needed: Estimate) -> list[str]:
    """A warning where the totals rest on guesses."""
    if not needed.guesses.layers:
        return []
    return [
        f"GUESSED, not fitted: {needed.guesses.cycles:,} of the cycles and "
        f"{kilobytes(needed.guesses.code_bytes)} of the code are those of kernels without figures "
        f"for this core and compiler ({_layers(needed)}). Flash and latency have no error bar; "
        "build and bench the network to know them."
    ]


def _arena(needed: Estimate) -> str:
    arena = f"arena {kilobytes(needed.arena_bytes)}"
    if needed.arena_lower_bound_bytes is None:
        return arena
    return f"{arena}, lower bound {kilobytes(needed.arena_lower_bound_bytes)}"


def _shown(verdict: Verdict) -> RenderableType:
    needed = verdict.estimate
    layers = Table(box=box.SIMPLE_HEAD)
    layers.add_column("layer", overflow="fold")
    layers.add_column("operator", overflow="fold")
    layers.add_column("kernel", overflow="fold")
    for heading in ("MACs", "cycles", "output"):
        layers.add_column(heading, justify="right", no_wrap=True)
    for layer in needed.layers[:_MOST_LAYERS_SHOWN]:
        shape = "×".join(str(side) for side in layer.output_shape)
        macs, cycles = f"{layer.macs:,}", f"{layer.cycles:,}"
        layers.add_row(layer.name, layer.op, layer.variant, macs, cycles, shape)
    hidden = len(needed.layers) - _MOST_LAYERS_SHOWN
    more = [f"… and {hidden} layers more; --json has all"] if hidden > 0 else []
    return Group(
        layers,
        *more,
        f"{'Fits' if verdict.fits else 'Does not fit'} {verdict.device} (all modelled): "
        f"flash {kilobytes(needed.flash_bytes)}, RAM {kilobytes(needed.ram_bytes)} "
        f"({_arena(needed)}), "
        f"{modelled_milliseconds(needed.latency_ms, needed.latency_percent)}, "
        f"about {needed.energy_millijoule:.3g} mJ (an estimate from the datasheet's current), "
        f"{needed.cycles:,} cycles, {needed.macs:,} MACs",
        *_guess_note(needed),
        *([needed.clock_note] if needed.clock_note else []),
    )

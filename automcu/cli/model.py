"""`automcu check` and `automcu compile`: what a network needs on a board, and its C project."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from automcu.cli.answer import Answer, Debug, Json, number, respond, table, text
from automcu.cli.options import (
    AccuracyData,
    CalibrationData,
    CellsPerStage,
    Classes,
    DeviceId,
    InputChannels,
    MaxEnergy,
    MaxFlash,
    MaxLatency,
    MaxRam,
    Resolution,
    StemChannels,
    Weights,
    read_limits,
)
from automcu.cost.records import Estimate, Limit, RowTilingEffect, Verdict
from automcu.errors import EXIT_DONE, EXIT_GOAL_MISSED
from automcu.networks.family import Network, families
from automcu.report.wording import kilobytes, modelled_milliseconds, warning_lines

if TYPE_CHECKING:
    from automcu.user_model.model import CheckResult, CompileResult
    from automcu.user_model.quantise import Calibrated, LowBitWeights


def check(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Quantised .onnx or .tflite file, cell, index, or a transformer such as "
            "vit:patch=4,dim=64,depth=4,heads=4; float .onnx with --calibrate.",
        ),
    ],
    device: DeviceId,
    stem_channels: StemChannels = 16,
    cells_per_stage: CellsPerStage = 5,
    resolution: Resolution = 32,
    input_channels: InputChannels = 3,
    classes: Classes = 10,
    max_latency_ms: MaxLatency = None,
    max_energy: MaxEnergy = None,
    max_ram: MaxRam = None,
    max_flash: MaxFlash = None,
    calibrate: CalibrationData = None,
    weights: Weights = "8",
    data: AccuracyData = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say whether a model fits a board; a cell is judged in the skeleton that the options give."""

    def command() -> Answer:
        from automcu.user_model.model import check

        limits = read_limits(max_latency_ms, max_energy, max_ram, max_flash)
        network = None
        if calibrate is None:
            sizes = {
                "stem_channels": stem_channels,
                "cells_per_stage": cells_per_stage,
                "resolution": resolution,
                "input_channels": input_channels,
                "classes": classes,
            }
            network = _untrained(model, sizes, weights, data)
        found = check(
            network or model, device, limits, weights=weights, data=data, calibrate=calibrate
        )
        return checked_answer(found)

    respond(command, json, debug)


def compile(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL", help="Quantised .onnx or .tflite file; float .onnx with --calibrate."
        ),
    ],
    device: DeviceId,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the C project.")],
    calibrate: CalibrationData = None,
    weights: Weights = "8",
    data: AccuracyData = None,
    max_latency_ms: MaxLatency = None,
    max_energy: MaxEnergy = None,
    max_ram: MaxRam = None,
    max_flash: MaxFlash = None,
    name: Annotated[
        str, typer.Option("--name", help="What the C symbols begin with (two networks need two).")
    ] = "model",
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Compile a model of your own to C for a board."""

    def command() -> Answer:
        from automcu.user_model.model import compile

        limits = read_limits(max_latency_ms, max_energy, max_ram, max_flash)
        made = compile(
            model, device, out, limits, weights=weights, data=data, calibrate=calibrate, name=name
        )
        return compiled_answer(made)

    respond(command, json, debug)


def _untrained(model: str, sizes: dict[str, int], weights: str, data: str | None) -> Network | None:
    """The network without weights that a text names; None where it is a file."""
    ternary = weights == "ternary" if weights in ("8", "ternary") and data is None else None
    named = (family.parse(model, sizes, ternary) for family in families().values())
    return next((network for network in named if network is not None), None)


_MOST_LAYERS_SHOWN = 60
_MOST_NAMED = 3


def checked_answer(found: "CheckResult") -> Answer:
    """Return the answer of `check`, with what would fit where the network does not."""
    remedies = {"remedies": [one.model_dump() for one in found.remedies]}
    answer = verdict_answer(found.verdict, None if found.verdict.fits else remedies)
    answer = with_weights(answer, found.weights)
    answer = _with_row_tiling(answer, found.row_tiling, found.verdict.estimate)
    return _with_calibrated(answer, found.calibrated)


def compiled_answer(made: "CompileResult") -> Answer:
    """Return the answer of `compile`, without latency and flash where the device has no figures."""
    if made.verdict is None:
        answer = with_weights(_answer_without_figures(made), made.weights)
        return _with_calibrated(answer, made.calibrated)
    more = {"project": str(made.folder), "model_hash": made.project.model_hash}
    answer = with_weights(verdict_answer(made.verdict, more), made.weights)
    answer = _with_row_tiling(answer, made.row_tiling, made.verdict.estimate)
    answer = _with_line(answer, f"C project: {made.folder}")
    return _with_calibrated(answer, made.calibrated)


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
    headings = [text("layer"), text("operator"), text("kernel")]
    headings += [number("MACs"), number("cycles"), number("output")]
    layers = table(
        headings,
        (
            (
                *(layer.name, layer.op, layer.variant, f"{layer.macs:,}", f"{layer.cycles:,}"),
                "×".join(str(side) for side in layer.output_shape),
            )
            for layer in needed.layers[:_MOST_LAYERS_SHOWN]
        ),
    )
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


def _with_line(answer: Answer, *lines: str) -> Answer:
    return replace(answer, shown=Group(answer.shown, *map(Text, lines)))


def _with_key(answer: Answer, key: str, value: Any) -> Answer:
    return replace(answer, document={**answer.document, key: value})


def with_weights(answer: Answer, weights: "LowBitWeights | None") -> Answer:
    """The answer, with widths and accuracies under `weights`, and a line if there are any."""
    if weights is None:
        return answer
    answer = _with_key(answer, "weights", weights.model_dump())
    if not weights.widths and weights.accuracy is None:
        return answer
    layers = Counter(weights.widths.values())
    counts = [f"{count} with {bits} bits" for bits, count in sorted(layers.items(), reverse=True)]
    line = f"Layers with low-bit weights: {', '.join(counts) or 'none'}"
    if weights.accuracy is not None and weights.accuracy_8_bits is not None:
        line += (
            f"; accuracy {weights.accuracy:.1%} on {weights.test_inputs} inputs, "
            f"{weights.accuracy_8_bits:.1%} with 8 bits"
        )
    answer = _with_line(answer, line)
    return replace(answer, shown=Group(answer.shown, *warning_lines(weights.warnings)))


def _with_row_tiling(answer: Answer, tiling: RowTilingEffect | None, estimate: Estimate) -> Answer:
    """The answer, with what row tiling gains and costs under `by_rows`, and a line where it is."""
    answer = _with_key(answer, "by_rows", tiling.model_dump() if tiling else None)
    if tiling is None:
        return answer
    cycles = estimate.cycles / tiling.cycles_whole - 1
    flash = estimate.flash_bytes - tiling.flash_bytes_whole
    return _with_line(
        answer,
        f"Some rows at a time: {', '.join(tiling.layers)}. "
        f"Arena {kilobytes(estimate.arena_bytes)} instead of "
        f"{kilobytes(tiling.arena_bytes_whole)}, for {cycles:+.1%} cycles and "
        f"{flash:+,} bytes of flash (modelled); no row is computed twice",
    )


def _with_calibrated(answer: Answer, calibrated: "Calibrated | None") -> Answer:
    """The answer, with the comparison under `calibrated` and a line if there is one."""
    if calibrated is None:
        return answer
    seen = "" if calibrated.unseen else ", which also calibrated it"
    noise = calibrated.sqnr_db
    line = (
        f"Quantised to int8; against the float model on {calibrated.inputs} inputs{seen}: "
        f"{_agreement(calibrated)}typical error {calibrated.typical_error:.2%} of the outputs' "
        f"range{'' if noise is None else f', signal to noise {noise:.1f} dB'}"
    )
    answer = _with_key(answer, "calibrated", calibrated.model_dump())
    return _with_line(answer, line, *calibrated.notes)


def _agreement(calibrated: "Calibrated") -> str:
    """How often both have the same largest output, which is a class where that is known."""
    if calibrated.same_class is not None:
        what = "class" if calibrated.are_classes else "largest output"
        return f"the same {what} in {calibrated.same_class:.1%}, "
    if calibrated.same_class_positions is not None:
        what = "class" if calibrated.are_classes else "largest channel"
        return f"the same {what} in {calibrated.same_class_positions:.1%} of the positions, "
    return ""


def _answer_without_figures(made: "CompileResult") -> Answer:
    """For a device that nobody has fitted figures for: weights and arena are exact, no latency."""
    program, device = made.program, made.device
    region = device.region_for("arena").size
    fits = program.arena.size <= region and program.weight_bytes <= device.flash_bytes
    document = {
        "device": device.id,
        "fits": None if fits else False,
        "weight_bytes": program.weight_bytes,
        "flash_bytes": None,
        "arena_bytes": program.arena.size,
        "arena_lower_bound_bytes": program.arena.lower_bound,
        "cycles": None,
        "latency_ms": None,
        "macs": program.macs,
        "layers": [
            layer.model_dump(include={"name", "op", "variant", "macs"})
            for layer in made.project.layers
        ],
        "project": str(made.folder),
        "model_hash": made.project.model_hash,
    }
    shown = (
        f"For {device.id}: weights {kilobytes(program.weight_bytes)}, arena "
        f"{kilobytes(program.arena.size)} (lower bound {kilobytes(program.arena.lower_bound)}), "
        f"both to the byte; {program.macs:,} MACs. Code size and latency are not known: "
        f"{made.without_figures}\nC project: {made.folder}"
    )
    if fits:
        return Answer(document, shown, EXIT_DONE, None)
    message = (
        f"It does not fit: arena {program.arena.size:,} of {region:,} bytes, weights "
        f"{program.weight_bytes:,} of {device.flash_bytes:,}. Choose a larger board."
    )
    return Answer(document, shown, EXIT_GOAL_MISSED, message)

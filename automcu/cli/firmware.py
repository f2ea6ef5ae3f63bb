"""`automcu build`, `flash` and `bench`: a C project to a firmware, onto a board, and measured.

With `bench --compare`, the results so far, and what changed from one to the next.
"""

import json as json_format
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from automcu.boards.records import LayerCycles, Measurement, compared, history, remember
from automcu.cli.answer import Answer, Debug, Json, number, pairs, print_text, respond, table, text
from automcu.cli.options import Board
from automcu.cli.progress import TerminalProgress
from automcu.errors import EXIT_DONE, EXIT_TOOL_OR_BOARD
from automcu.report.wording import executed_by, kilobytes, milliseconds, percent, warning_lines

# Projects are read with numpy, which `--help` does without.
if TYPE_CHECKING:
    import pandas as pd

    from automcu.toolchains.build import Build
    from automcu.user_model.firmware import BenchResult

TABLE = "bench.csv"
_COLUMNS = {
    "date": "date",
    "project": "project",
    "device": "device",
    "board": "board",
    "compiler": "compiler",
    "firmware_hash": "firmware",
}


def build(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A compiled project, or a run that holds one.")
    ],
    verify: Annotated[
        bool,
        typer.Option(
            "--verify/--no-verify", help="Run golden inputs through the firmware, emulated."
        ),
    ] = True,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Compile and link a project's firmware, and verify it on the emulator."""
    respond(lambda: _build(folder, verify), json, debug)


def _build(folder: Path, verify: bool) -> Answer:
    from automcu.boards.project import project_folder
    from automcu.user_model.firmware import build

    path = project_folder(folder)
    made = build(path, verify=verify)
    shown = pairs(
        (
            ("firmware", str(path / made.elf)),
            ("compiler", made.compiler),
            ("flash", f"{kilobytes(made.flash_bytes)}, weights {kilobytes(made.weight_bytes)}"),
            ("RAM", f"{kilobytes(made.ram_bytes)}, arena {kilobytes(made.arena_bytes)}"),
            _proof(made),
        )
    )
    return Answer({"project": str(path), **made.model_dump()}, shown)


def _proof(made: "Build") -> tuple[str, str]:
    """What is known of the firmware's answers, in words."""
    proof = made.verified
    if proof is None:
        return "not verified", made.not_verified or "--no-verify was given."
    some = "" if proof.inputs == proof.golden_inputs else f"of {proof.golden_inputs} "
    return "verified", f"{proof.inputs} {some}golden inputs {proof.how}, all bytes equal"


def flash(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A built project, or a run that holds one.")
    ],
    board: Annotated[
        str,
        typer.Option("--board", metavar="PORT", help="Any pyserial URL, or labgrid:PLACE."),
    ],
    method: Annotated[
        str | None,
        typer.Option(
            metavar="usart-bootloader|swd|mass-storage|esptool",
            help="How; by default the first of the board's ways that is connected.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the image and say what would be done.")
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a project's firmware to a board, verify it and start it."""
    respond(
        lambda: _flash(folder, board, method, dry_run),
        json,
        debug,
        on_stop=lambda: "Flash the board again: what it has already is kept.",
    )


def _flash(folder: Path, board: str, method: str | None, dry_run: bool) -> Answer:
    from automcu.user_model.firmware import flash, load_image, plan_flash

    device, _, warnings = load_image(folder, board)
    for warning in warnings:  # before anything is written, so that it can be stopped
        print_text(warning, error=True)
    if dry_run:
        plan = plan_flash(folder, board, method)
        lines = "\n".join(f"{number}. {step}" for number, step in enumerate(plan.steps, 1))
        document = {
            "device": device.id,
            "board": board,
            "method": plan.method,
            "steps": plan.steps,
            "warnings": warnings,
        }
        return Answer(document, f"By {plan.method}, nothing done yet:\n{lines}")
    with TerminalProgress() as progress:
        progress.begin(f"flashing {device.id} at {board}")
        done = flash(folder, board, method=method, progress=progress.count)
    report = done.report
    return Answer(
        {
            "device": device.id,
            "board": board,
            **report.model_dump(),
            "warnings": warnings,
        },
        f"{device.name} at {board} runs the firmware: {report.written_bytes:,} bytes written by "
        f"{report.method}, {report.kept_bytes:,} kept, {report.seconds:.1f} s",
    )


def bench(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A built project, or a run that holds one.")
    ],
    board: Board = "virtual",
    inputs: Annotated[
        int | None, typer.Option("--inputs", metavar="N", min=1, help="At most so many inputs.")
    ] = None,
    runs: Annotated[
        int | None,
        typer.Option("--runs", metavar="N", min=1, help="Timed runs; default: what takes 3 s."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="DATA",
            help="Accuracy on this test set: whatever --calibrate takes, or .npz of int8 x and y.",
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            "--table",
            metavar="FILE",
            help=f".csv or .parquet that keeps every result; default: DIR/{TABLE}.",
        ),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Measure nothing; compare the results so far.")
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Flash a board, run the firmware and measure it."""

    def command() -> Answer:
        from automcu.boards.project import project_folder

        project = project_folder(folder)
        path = results or project / TABLE
        if compare:
            return _comparison(path)
        return _bench(project, board, inputs, runs, data, path)

    respond(command, json, debug, on_stop=lambda: "Nothing was added to the table.")


def _bench(
    project: Path, board: str, inputs: int | None, runs: int | None, data: str | None, path: Path
) -> Answer:
    from automcu.boards.project import load_firmware, project_device
    from automcu.mcu import find_device
    from automcu.user_model.firmware import bench

    device = find_device(project_device(project))
    doubt = load_firmware(project).doubt
    if doubt:  # before anything is flashed, so that it can be stopped
        print_text(doubt, error=True)
    with TerminalProgress() as progress:
        progress.begin(f"running on {board} {device.id}")
        done = bench(project, board, inputs=inputs, runs=runs, data=data, progress=progress.count)
    found = done.measurement
    remember(path, _name(project), found)
    problem = _problem(found)
    document = {
        **found.model_dump(mode="json"),
        "table": str(path),
        "notes": done.notes,
        "warnings": done.warnings,
    }
    exit_code = EXIT_TOOL_OR_BOARD if problem else EXIT_DONE
    more = tuple(one for one in done.warnings if one != doubt)
    return Answer(document, _shown(done, more, path), exit_code, problem)


def _problem(found: Measurement) -> str | None:
    if not found.mismatches:
        return None
    return (
        f"{found.mismatches} of {found.inputs} answers differ from the integer reference. "
        "Build the project again; if it stays, report it."
    )


def _name(project: Path) -> str:
    """What a table calls the project: its folder, or its run's."""
    path = project.resolve()
    return path.parent.name if path.name == "project" else path.name


def _shown(done: "BenchResult", warnings: tuple[str, ...], path: Path) -> RenderableType:
    """The layers, then what a user asks first: how fast, how right, how much memory."""
    found = done.measurement
    spread, executed = found.latency_ms, executed_by(found)
    return Group(
        _layers(found.layers),
        f"{found.board}: {milliseconds(spread.median)} median of {found.runs} runs "
        f"({found.latency_source}; min {milliseconds(spread.min)}, "
        f"95 % {milliseconds(spread.p95)}), {found.cycles:,} cycles{_estimate(found)}",
        f"{found.inputs - found.mismatches} of {found.inputs} answers equal the integer "
        f"reference, {_accuracy(found)}; stack {found.stack_bytes:,} bytes, "
        f"arena {found.arena_bytes:,} bytes. {executed[0].upper()}{executed[1:]}",
        *map(Text, done.notes),
        *warning_lines(warnings),
        f"Added to {path}",
    )


def _layers(layers: tuple[LayerCycles, ...]) -> Table:
    estimated = any(layer.estimated for layer in layers)
    headings = ("cycles", "share", *(("estimated", "off by") if estimated else ()))
    made = table((text("layer"), *map(number, headings)), ())
    total = max(1, sum(layer.cycles for layer in layers))
    for layer in layers:
        cells = [layer.name, f"{layer.cycles:,}", percent(layer.cycles / total)]
        if layer.estimated:
            off = f"{100 * (layer.estimated / max(1, layer.cycles) - 1):+.1f} %"
            cells += [f"{layer.estimated:,}", off]
        made.add_row(*cells)
    return made


def _estimate(found: Measurement) -> str:
    promised = sum(layer.estimated or 0 for layer in found.layers)
    if not promised or not found.cycles:
        return ""
    return f", estimated {promised:,} ({100 * (promised / found.cycles - 1):+.1f} %)"


def _accuracy(found: Measurement) -> str:
    if found.accuracy is None:
        return "no labels"
    where = f" on {found.test_inputs} test inputs" if found.test_inputs else ""
    return f"accuracy {percent(found.accuracy)}{where}"


def _comparison(path: Path) -> Answer:
    """Compare what the table in `path` holds; one that is not the project's own holds others too.

    Raises:
        WrongInputError: there is no such table.
    """
    runs = compared(history(path))
    headings = [
        Column(heading, overflow="fold", no_wrap=heading == "device")
        for heading in _COLUMNS.values()
    ]
    headings += [
        Column(heading, justify="right")
        for heading in ("median ms", "change", "accuracy %", "stack", "arena")
    ]
    rows = (
        (
            *(_short(column, str(run[column])) for column in _COLUMNS),
            f"{run['latency_median_ms']:.3f}",
            _signed(run["latency_change_percent"], "%"),
            "–" if math.isnan(run["accuracy"]) else f"{100 * run['accuracy']:.2f}",
            f"{run['stack_bytes']:,}",
            f"{run['arena_bytes']:,}",
        )
        for _, run in runs.iterrows()
    )
    shown = table(headings, rows, pad_edge=False, collapse_padding=True)
    document = {"table": str(path), "runs": json_format.loads(runs.to_json(orient="records"))}
    return Answer(document, Group(shown, *_notes(runs)))


def _notes(runs: "pd.DataFrame") -> list[str]:
    """Say where the runs of one project are not one story, so that nobody compares them."""
    devices = {
        name: sorted(set(found)) for name, found in runs.groupby("project")["device"] if name
    }
    return [
        f"{name!s} ran on different devices ({', '.join(found)}): a change is that since the last "
        "run on the same device, board and source."
        for name, found in devices.items()
        if len(found) > 1
    ]


def _short(column: str, text: str) -> str:
    """A minute of a date, a compiler's name and version, the beginning of a hash."""
    if column == "date":
        return text[: len("2026-01-31T12:00")].replace("T", " ")
    if column == "compiler":
        return " ".join(text.split()[:2])
    return text[:8] if column == "firmware_hash" else text


def _signed(number: float, unit: str) -> str:
    return "–" if math.isnan(number) else f"{number:+.1f} {unit}"

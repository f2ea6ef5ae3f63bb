"""`automcu space`: how much of the space fits a board."""

import csv as csv_format
import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Column

from automcu.brief import Limits
from automcu.cli.answer import Answer, Debug, Json, number, respond, table
from automcu.cli.options import (
    EMBEDDED_PRIOR,
    AccuracyDatasetName,
    AccuracyTablePath,
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
    read_limits,
    read_table,
)
from automcu.errors import EXIT_DONE, EXIT_GOAL_MISSED, ToolError, WrongInputError
from automcu.mcu import find_device
from automcu.networks.cells.family import cell_name, skeleton_name
from automcu.networks.cells.skeleton import FeasibleCell, Skeleton, Survey, SurveyOverview
from automcu.records import cache_folder, write_atomically
from automcu.report.wording import error_bar

if TYPE_CHECKING:
    from automcu.networks.cells.accuracies import AccuracyTable

_PICTURES = {".png", ".svg", ".pdf"}
_WIDTH_INCHES, _HEIGHT_INCHES = 7.0, 4.2
_DOTS_PER_INCH = 150


def space(
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
    accuracy_table: AccuracyTablePath = None,
    accuracy_dataset: AccuracyDatasetName = None,
    weights: Annotated[
        str, typer.Option("--weights", metavar="8|ternary", help="Weights of the cells.")
    ] = "8",
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the cells that fit as CSV.")
    ] = None,
    parquet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the cells that fit as Parquet.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the front (.png, .svg or .pdf).")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write over files that are there already.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Compute anew, whatever the cache has.")
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Judge all 15,625 cells in one skeleton: how many fit, and which are the best."""

    def command() -> Answer:
        if weights not in ("8", "ternary"):
            raise WrongInputError(f"Cells have no weights of {weights!r}. Use 8 or ternary.")
        skeleton = Skeleton(
            stem_channels=stem_channels,
            cells_per_stage=cells_per_stage,
            resolution=resolution,
            input_channels=input_channels,
            classes=classes,
            ternary=weights == "ternary",
        )
        limits = read_limits(max_latency_ms, max_energy, max_ram, max_flash)
        files = {"--csv": csv, "--parquet": parquet, "--plot": plot}
        check_files({flag: path for flag, path in files.items() if path}, force)
        prior = read_table(accuracy_table, accuracy_dataset)
        source = EMBEDDED_PRIOR if prior is None else prior.source
        start = time.perf_counter()
        if csv or parquet or plot or fresh:
            found = _survey(device, skeleton, limits, fresh, prior)
            _write_files(found, limits, source, csv, parquet, plot)
            return _answer(found, time.perf_counter() - start, source)
        overview = _overview(device, skeleton, limits, prior)
        return _answer(overview, time.perf_counter() - start, source)

    respond(command, json, debug)


def _survey(
    name: str, skeleton: Skeleton, limits: Limits, fresh: bool, prior: "AccuracyTable | None"
) -> Survey:
    """The survey, from the cache unless it has to be fresh."""
    from automcu.networks.cells.survey import survey
    from automcu.networks.cells.survey_cache import cached_survey

    device, folder = find_device(name), _cache()
    if fresh or folder is None:
        return survey(device, skeleton, limits, prior=prior)
    return cached_survey(device, skeleton, folder, limits, prior=prior)


def _overview(
    name: str, skeleton: Skeleton, limits: Limits, prior: "AccuracyTable | None"
) -> SurveyOverview:
    """What the table shows: from the cache it takes a third of a second, imports included."""
    from automcu.networks.cells.survey_cache import cached_overview

    folder = _cache()
    if folder is None:
        return _survey(name, skeleton, limits, True, prior)
    return cached_overview(find_device(name), skeleton, folder, limits, prior=prior)


def _cache() -> Path | None:
    try:
        return cache_folder() / "surveys"
    except OSError:
        return None


def _write_files(
    found: Survey,
    limits: Limits,
    source: str,
    csv: Path | None,
    parquet: Path | None,
    plot: Path | None,
) -> None:
    if csv:
        write_csv(found, csv)
    if parquet:
        write_parquet(found, parquet)
    if plot:
        write_plot(found, plot, limits.latency_ms, source)


def _answer(found: SurveyOverview, seconds: float, source: str) -> Answer:
    document = {
        "device": found.device,
        "skeleton": found.skeleton.model_dump(),
        "cells": found.cells,
        "feasible": found.feasible,
        "disconnected": found.disconnected,
        "excluded": found.excluded,
        "seconds": seconds,
        "prior": source,
        "latency_percent": found.smallest.estimate.latency_percent,
        "front": [cell.model_dump() for cell in found.front],
    }
    shown = _shown(found, seconds, source)
    if found.feasible:
        return Answer(document, shown, EXIT_DONE)
    problem = "No cell fits; raise a limit or shrink the skeleton."
    return Answer(document, shown, EXIT_GOAL_MISSED, problem)


def _shown(found: SurveyOverview, seconds: float, source: str) -> RenderableType:
    reasons = ", ".join(f"{count:,} break {limit}" for limit, count in found.excluded.items())
    lines = (
        f"{found.feasible:,} of {found.cells:,} cells fit {found.device} in the skeleton "
        f"{skeleton_name(found.skeleton)} ({found.disconnected:,} are not connected"
        f"{', ' + reasons if reasons else ''}), {seconds:.1f} s"
    )
    off = error_bar(found.smallest.estimate.latency_percent)
    title = "The front: no other cell is both better and faster"
    rows = (
        (
            str(cell.index),
            "–" if cell.prior is None else f"{cell.prior:.2f}",
            f"{cell.latency_ms:.3g}",
            f"{cell.flash_bytes / 1024:.1f}",
            f"{cell.ram_bytes / 1024:.1f}",
            cell_name(cell.architecture),
        )
        for cell in found.front
    )
    headings = [number(one) for one in ("index", "prior %", "ms", "flash KB", "RAM KB")]
    headings.append(Column("cell", no_wrap=True))
    front = table(headings, rows, title=f"{title}{off and f' (ms{off})'}")
    note = found.smallest.estimate.clock_note
    return Group(lines, front, f"prior: {source}", *([note] if note else []))


def check_files(files: Mapping[str, Path], force: bool) -> None:
    """See, before anything is computed, that the files may be written.

    Args:
        files: by the flags that name them.
        force: files that are there already may be written over.

    Raises:
        WrongInputError: two are the same, one is there already, is a folder, or is no picture.
    """
    for flag, path in files.items():
        twin = next((one for one, other in files.items() if other == path and one != flag), None)
        if twin:
            raise WrongInputError(f"{flag} and {twin} both name {path}. Give each its own file.")
        if path.is_dir():
            raise WrongInputError(f"{path} is a folder. Name a file with {flag}.")
        if path.exists() and not force:
            raise WrongInputError(
                f"{path} is there already. Name another file with {flag}, or give --force to write "
                "over it."
            )
        if flag == "--plot" and path.suffix.lower() not in _PICTURES:
            raise WrongInputError(
                f"{path} is no picture's name. End it in {', '.join(sorted(_PICTURES))}."
            )


def write_csv(found: Survey, path: Path) -> None:
    """Write one line for each cell that fits, best prior first; bytes and milliseconds."""
    text = io.StringIO()
    writer = csv_format.writer(text, lineterminator="\n")
    writer.writerow(FeasibleCell.model_fields)
    for cell in found.feasible_cells:
        values = [getattr(cell, name) for name in FeasibleCell.model_fields]
        writer.writerow("" if value is None else value for value in values)
    write_atomically(path, text.getvalue().encode())


def write_parquet(found: Survey, path: Path) -> None:
    """Write the same table as Parquet.

    Raises:
        ToolError: pyarrow, which pandas needs for it, is missing.
    """
    import pandas as pd

    columns = {
        name: [getattr(cell, name) for cell in found.feasible_cells]
        for name in FeasibleCell.model_fields
    }
    buffer = io.BytesIO()
    try:
        pd.DataFrame(columns).to_parquet(buffer, index=False)
    except ImportError as error:
        raise ToolError(
            "Parquet files need the package pyarrow. Install it with pip install automcu[parquet], "
            "or write --csv."
        ) from error
    write_atomically(path, buffer.getvalue())


def write_plot(found: Survey, path: Path, max_latency_ms: float | None, source: str) -> None:
    """Draw prior against modelled latency: every cell that fits, and the front.

    `source` says whose accuracies the prior is.

    Raises:
        WrongInputError: no cell fits.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH_INCHES, _HEIGHT_INCHES), layout="constrained")
    axes = figure.subplots()
    known = [cell for cell in found.feasible_cells if cell.prior is not None]
    axes.plot(
        [cell.latency_ms for cell in known],
        [cell.prior or 0.0 for cell in known],
        ".",
        color="#ced4da",
        markersize=2,
        label=f"{found.feasible:,} cells that fit",
    )
    front = _fastest_first(found)
    axes.step(
        [cell.latency_ms for cell in front],
        [cell.prior or 0.0 for cell in front],
        "o-",
        where="post",
        color="#0b7285",
        markersize=4,
        label="front",
    )
    if max_latency_ms is not None:
        axes.axvline(max_latency_ms, color="#c92a2a", linestyle="--", linewidth=1, label="limit")
    axes.set_xlabel("modelled latency in ms")
    axes.set_ylabel(f"prior in %: the cell in the benchmark's own skeleton\n({source})")
    axes.set_title(f"{found.device}, {skeleton_name(found.skeleton)}", fontsize=10)
    axes.legend(loc="lower right", framealpha=1, edgecolor="none")
    buffer = io.BytesIO()
    figure.savefig(buffer, format=path.suffix[1:].lower(), dpi=_DOTS_PER_INCH)
    write_atomically(path, buffer.getvalue())


def _fastest_first(found: Survey) -> list[FeasibleCell]:
    """The cells that none beats in both prior and latency; flash aside."""
    front: list[FeasibleCell] = []
    for cell in sorted(found.front, key=lambda one: (one.latency_ms, -(one.prior or 0.0))):
        if cell.prior is not None and (not front or cell.prior > (front[-1].prior or 0.0)):
            front.append(cell)
    return front

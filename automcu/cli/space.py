"""`automcu space`: how much of the space fits a board."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from automcu.cli.answer import Answer, Debug, Json, respond
from automcu.cli.limits import read_limits
from automcu.cli.options import (
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
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from automcu.brief import Limits
    from automcu.networks.cells.accuracies import AccuracyTable
    from automcu.networks.cells.architecture import Skeleton
    from automcu.networks.cells.records import Survey, SurveyOverview


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
        from automcu.cli.accuracies import EMBEDDED_PRIOR, named_table
        from automcu.errors import WrongInputError
        from automcu.networks.cells.architecture import Skeleton

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
        if any(files.values()):
            from automcu.cli.space_files import check_files

            check_files({flag: path for flag, path in files.items() if path}, force)
        prior = named_table(accuracy_table, accuracy_dataset)
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
    name: str, skeleton: "Skeleton", limits: "Limits", fresh: bool, prior: "AccuracyTable | None"
) -> "Survey":
    """The survey, from the cache unless it has to be fresh."""
    from automcu.mcu import find_device
    from automcu.networks.cells.survey import survey
    from automcu.networks.cells.survey_cache import cached_survey

    device, folder = find_device(name), _cache()
    if fresh or folder is None:
        return survey(device, skeleton, limits, prior=prior)
    return cached_survey(device, skeleton, folder, limits, prior=prior)


def _overview(
    name: str, skeleton: "Skeleton", limits: "Limits", prior: "AccuracyTable | None"
) -> "SurveyOverview":
    """What the table shows: from the cache it takes a third of a second, imports included."""
    from automcu.mcu import find_device
    from automcu.networks.cells.survey_cache import cached_overview

    folder = _cache()
    if folder is None:
        return _survey(name, skeleton, limits, True, prior)
    return cached_overview(find_device(name), skeleton, folder, limits, prior=prior)


def _cache() -> Path | None:
    from automcu.resources import cache_folder

    try:
        return cache_folder() / "surveys"
    except OSError:
        return None


def _write_files(
    found: "Survey",
    limits: "Limits",
    source: str,
    csv: Path | None,
    parquet: Path | None,
    plot: Path | None,
) -> None:
    from automcu.cli.space_files import write_csv, write_parquet, write_plot

    if csv:
        write_csv(found, csv)
    if parquet:
        write_parquet(found, parquet)
    if plot:
        write_plot(found, plot, limits.latency_ms, source)


def _answer(found: "SurveyOverview", seconds: float, source: str) -> Answer:
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
    if found.feasible:
        return Answer(document, _shown(found, seconds, source))
    return Answer(
        document,
        _shown(found, seconds, source),
        1,
        "No cell fits; raise a limit or shrink the skeleton.",
    )


def _shown(found: "SurveyOverview", seconds: float, source: str) -> "RenderableType":
    from rich import box
    from rich.console import Group
    from rich.table import Table

    from automcu.networks.cells.family import cell_name, skeleton_name
    from automcu.report.wording import error_bar

    reasons = ", ".join(f"{count:,} break {limit}" for limit, count in found.excluded.items())
    lines = (
        f"{found.feasible:,} of {found.cells:,} cells fit {found.device} in the skeleton "
        f"{skeleton_name(found.skeleton)} ({found.disconnected:,} are not connected"
        f"{', ' + reasons if reasons else ''}), {seconds:.1f} s"
    )
    off = error_bar(found.smallest.estimate.latency_percent)
    title = "The front: no other cell is both better and faster"
    table = Table(title=f"{title}{off and f' (ms{off})'}", box=box.SIMPLE_HEAD)
    for heading in ("index", "prior %", "ms", "flash KB", "RAM KB"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("cell", no_wrap=True)
    for cell in found.front:
        table.add_row(
            str(cell.index),
            "–" if cell.prior is None else f"{cell.prior:.2f}",
            f"{cell.latency_ms:.3g}",
            f"{cell.flash_bytes / 1024:.1f}",
            f"{cell.ram_bytes / 1024:.1f}",
            cell_name(cell.architecture),
        )
    note = found.smallest.estimate.clock_note
    return Group(lines, table, f"prior: {source}", *([note] if note else []))

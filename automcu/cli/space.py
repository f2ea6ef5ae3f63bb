"""`automcu space`: how much of the space fits a board."""

from typing import TYPE_CHECKING

from automcu.cli.answer import Answer, Debug, Json, respond
from automcu.cli.limits import Limits, read_limits
from automcu.cli.options import (
    CellsPerStage,
    Classes,
    DeviceId,
    InputChannels,
    MaxFlash,
    MaxLatency,
    MaxRam,
    Resolution,
    StemChannels,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from automcu.cost.records import Survey
    from automcu.space import Skeleton


def space(
    device: DeviceId,
    stem_channels: StemChannels = 16,
    cells_per_stage: CellsPerStage = 5,
    resolution: Resolution = 32,
    input_channels: InputChannels = 3,
    classes: Classes = 10,
    max_latency_ms: MaxLatency = None,
    max_ram: MaxRam = None,
    max_flash: MaxFlash = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Judge all 15,625 cells in one skeleton: how many fit, and which are the best."""

    def command() -> Answer:
        from automcu.space import Skeleton

        skeleton = Skeleton(
            stem_channels=stem_channels,
            cells_per_stage=cells_per_stage,
            resolution=resolution,
            input_channels=input_channels,
            classes=classes,
        )
        return _space(device, skeleton, read_limits(max_latency_ms, max_ram, max_flash))

    respond(command, json, debug)


def _space(name: str, skeleton: "Skeleton", limits: Limits) -> Answer:
    from automcu.cost import survey
    from automcu.devices import find_device

    found = survey(find_device(name), skeleton, **limits)
    document = {
        "device": found.device,
        "skeleton": found.skeleton.model_dump(),
        "cells": found.cells,
        "feasible": found.feasible,
        "disconnected": found.disconnected,
        "excluded": found.excluded,
        "seconds": found.seconds,
        "front": [cell.model_dump() for cell in found.front],
    }
    if found.feasible:
        return Answer(document, _shown(found))
    return Answer(document, _shown(found), 1, "No cell fits; raise a limit or shrink the skeleton.")


def _shown(found: "Survey") -> "RenderableType":
    from rich import box
    from rich.console import Group
    from rich.table import Table

    from automcu.report.wording import cell_name, skeleton_name

    reasons = ", ".join(f"{count:,} break {limit}" for limit, count in found.excluded.items())
    lines = (
        f"{found.feasible:,} of {found.cells:,} cells fit {found.device} in the skeleton "
        f"{skeleton_name(found.skeleton)} ({found.disconnected:,} are not connected"
        f"{', ' + reasons if reasons else ''}), {found.seconds:.1f} s"
    )
    table = Table(title="The front: no other cell is both better and faster", box=box.SIMPLE_HEAD)
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
    return Group(lines, table)

"""How a finished run is told: the stable keys of `design --json`, and the tables."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

    from automcu.run.records import Run
    from automcu.run.run_folder import RunFolder


def run_document(run: "Run", path: Path) -> dict[str, Any]:
    """Return the JSON document of a run; its keys are stable."""
    from automcu.report.wording import limits_word

    findings, build, measurement = run.findings, run.build, run.measurement
    accuracy, chosen = findings.accuracy, findings.chosen
    return {
        "run": str(path),
        "device": run.device.id,
        "fits": not findings.missed,
        "missed": list(findings.missed),
        "limits_kept": limits_word(findings),
        "not_used": None if run.brief.unused is None else list(run.brief.unused),
        "warnings": list(findings.warnings),
        "candidates": {
            "space": run.plan.space,
            "feasible": run.plan.feasible,
            "trained": len(run.candidates),
            "families": {
                name: {"space": space, "feasible": feasible}
                for name, (space, feasible) in findings.space.families.items()
            },
        },
        "counts": run.counts.model_dump(),
        "agents": run.agents.model_dump() if run.agents else None,
        "family": "cnn" if chosen.cell_index is not None else "vit",
        "architecture": chosen.architecture.model_dump(),
        "cell_index": chosen.cell_index,
        "flash_bytes": build.flash_bytes,
        "ram_bytes": build.ram_bytes,
        "arena_bytes": build.arena_bytes,
        "latency_ms": measurement.latency_ms.median,
        "latency_source": measurement.latency_source,
        "energy_millijoule": run.device.energy_millijoule(measurement.latency_ms.median),
        "energy_source": "modelled",
        "execution": measurement.executed_by,
        "accuracy": {
            "float": accuracy.float_,
            "host": accuracy.host,
            "board": accuracy.board,
        },
        "board": measurement.board,
        "board_inputs": accuracy.board_inputs,
        "board_mismatches": accuracy.board_mismatches,
        "seconds": findings.seconds,
        "project": str(path / "project"),
        "report": str(path / "report.html"),
    }


def run_shown(run: "Run", folder: "RunFolder") -> "RenderableType":
    """Return what the terminal shows of a run."""
    from rich.console import Group

    from automcu.report.terminal import summary

    note = run.findings.estimate.clock_note
    return Group(
        summary(run.findings),
        *([note] if note else []),
        f"Report: {folder.report}   C project: {folder.project}   Every record: {folder.run}",
    )

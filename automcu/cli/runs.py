"""`automcu report` and `automcu studies`: what runs came to, from their records."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Group, RenderableType

from automcu.cli.answer import Answer, Debug, Json, respond, table
from automcu.errors import WrongInputError
from automcu.networks.family import family_of
from automcu.report.wording import limits_word, summary

if TYPE_CHECKING:
    from automcu.planner.study import StudySummary
    from automcu.run.records import Run

_RUNS = Path("runs")


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show a run's result again, and write its report.html anew."""
    respond(lambda: _report(run), json, debug)


def _report(path: Path) -> Answer:
    from automcu.report.html import is_current, write_html
    from automcu.run.job import RunFolder
    from automcu.run.records import Run

    folder = RunFolder.open(path)
    if not folder.run.is_file():
        raise WrongInputError(
            f"{path} holds a run that is not finished: its run.json is missing. "
            f"Finish it with: automcu design --resume {path}"
        )
    run = Run.load(folder.run)
    if not is_current(folder.report, folder.run, run.findings):
        write_html(run.findings, folder.report)
    return Answer(run_document(run, path), run_shown(run, path))


def run_document(run: "Run", path: Path) -> dict[str, Any]:
    """Return the JSON document of a run; its keys are stable."""
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
        "family": family_of(chosen.architecture).name,
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


def run_shown(run: "Run", path: Path) -> RenderableType:
    """Return what the terminal shows of a run."""
    note = run.findings.estimate.clock_note
    return Group(
        summary(run.findings),
        *([note] if note else []),
        f"Report: {path / 'report.html'}   C project: {path / 'project'}   "
        f"Every record: {path / 'run.json'}",
    )


def studies(
    where: Annotated[
        str | None,
        typer.Argument(metavar="[URL|RUN]", help="A database, a run, or all runs in runs/."),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """List studies: how many networks each has trained, and how good the best one is."""
    respond(lambda: _studies(where), json, debug)


def _studies(where: str | None) -> Answer:
    from automcu.planner.study import list_studies

    found = [(url, one) for url in _databases(where) for one in list_studies(url)]
    return Answer({"studies": [_document(*pair) for pair in found]}, _table(found))


def _databases(where: str | None) -> list[str]:
    """Return the URLs of databases to list.

    Raises:
        WrongInputError: there is no run, or no study in it.
    """
    if where and "://" in where:
        _refuse_missing_file(where)
        return [where]
    folders = [Path(where)] if where else sorted(_RUNS.glob("*"))
    files = [folder / "study.db" for folder in folders if (folder / "study.db").is_file()]
    if where and not files:
        raise WrongInputError(
            f"{where} holds no study. Give a run folder, or a URL such as sqlite:///studies.db."
        )
    return [f"sqlite:///{file.absolute()}" for file in files]


def _refuse_missing_file(url: str) -> None:
    """To look must not make an empty database, as opening SQLite's would."""
    scheme, _, path = url.partition(":///")
    if scheme == "sqlite" and path and not Path(path).is_file():
        raise WrongInputError(f"There is no database {path}. Check the path in the URL.")


def _document(url: str, study: "StudySummary") -> dict[str, Any]:
    return {
        "study": study.name,
        "database": _without_password(url),
        "trained": study.trained,
        "running": study.running,
        "failed": study.failed,
        "best_percent": study.best_percent,
        "runs": list(study.runs),
    }


def _table(found: list[tuple[str, "StudySummary"]]) -> RenderableType:
    if not found:
        return "No studies yet. Each `automcu design` begins one in its run folder."
    rows = (
        (
            *(one.name, str(one.trained), str(one.running), str(one.failed)),
            "–" if one.best_percent is None else f"{one.best_percent:.1f} %",
            str(len(one.runs)),
        )
        for _, one in found
    )
    headings = ("study", "trained", "running", "failed", "best", "runs")
    return table(headings, rows, box=box.SIMPLE)


def _without_password(url: str) -> str:
    from sqlalchemy.engine import make_url

    return make_url(url).render_as_string(hide_password=True)

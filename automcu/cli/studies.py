"""`automcu studies`: what was trained for which brief, in one database or in all runs here."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automcu.cli.answer import Answer, Debug, Json, respond
from automcu.errors import WrongInputError

if TYPE_CHECKING:
    from automcu.planner.study import StudySummary

_RUNS = Path("runs")


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


def _table(found: list[tuple[str, "StudySummary"]]) -> Any:
    from rich import box
    from rich.table import Table

    if not found:
        return "No studies yet. Each `automcu design` begins one in its run folder."
    table = Table("study", "trained", "running", "failed", "best", "runs", box=box.SIMPLE)
    for _, one in found:
        best = "–" if one.best_percent is None else f"{one.best_percent:.1f} %"
        counts = (str(one.trained), str(one.running), str(one.failed))
        table.add_row(one.name, *counts, best, str(len(one.runs)))
    return table


def _without_password(url: str) -> str:
    from sqlalchemy.engine import make_url

    return make_url(url).render_as_string(hide_password=True)

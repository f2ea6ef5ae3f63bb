"""`automcu report`: a run's tables and its page, made again from its records."""

from pathlib import Path
from typing import Annotated

import typer

from automcu.cli.answer import Answer, Debug, Json, respond


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show a run's result again, and write its report.html anew."""
    respond(lambda: _report(run), json, debug)


def _report(path: Path) -> Answer:
    from automcu.cli.run_answer import run_document, run_shown
    from automcu.errors import WrongInputError
    from automcu.report.html import write_html
    from automcu.run.records import Run
    from automcu.run.run_folder import RunFolder

    folder = RunFolder.open(path)
    if not folder.run.is_file():
        raise WrongInputError(
            f"{path} holds a run that is not finished: its run.json is missing. "
            f"Finish it with: automcu design --resume {path}"
        )
    run = Run.load(folder.run)
    write_html(run.findings, folder.report)
    return Answer(run_document(run, path), run_shown(run, folder))

"""The run's agents: with a language model they choose networks, and code carries out the rest."""

from typing import TYPE_CHECKING

from automcu.networks.cells.plan import load_surveys
from automcu.plain_text import printable
from automcu.planner.plan import Plan
from automcu.records import write_atomically
from automcu.report.wording import EVERY_LIMIT_IS_KEPT, executed_by, limits_word
from automcu.run.job import Job
from automcu.run.language_models import open_model, save_used
from automcu.run.records import Run

if TYPE_CHECKING:
    from automcu.planner.agents.council import Council


def open_council(job: Job, plan: Plan) -> "Council | None":
    """Return the agents of a run, with what they have used so far; None for the offline planner.

    Raises:
        WrongInputError: no model is named, or neither a key nor a server of one's own.
        ToolError: the local model or what runs it is missing.
    """
    opened = open_model(job.settings, job.folder)
    if opened is None:
        return None
    opened.model.notify = job.progress.say
    # The client takes most of a second to import, which other runs need not wait for.
    from automcu.planner.agents.council import Council, FeasibleSpace

    return Council(
        opened.model,
        FeasibleSpace(load_surveys(job.folder.surveys, plan.surveyed), job.milliseconds_allowed),
        job.settings.seed,
        notify=lambda reason: _turn_lost(job, reason),
        turns=opened.turns,
        server=opened.server,
    )


def tell_in_words(job: Job, plan: Plan, run: Run) -> None:
    """Let the Reporter say what came of the run; the paragraph is kept as summary.txt."""
    council = open_council(job, plan)
    if council is None:
        return
    from automcu.planner.agents.records import ReporterView
    from automcu.planner.agents.reporter import plain_paragraph, report_in_words

    job.progress.begin("waiting for the language model's report")
    limits = limits_word(run.findings)
    view = ReporterView(
        device=run.device.id,
        networks_judged=plan.space,
        networks_that_fit=plan.feasible,
        networks_trained=len(run.candidates),
        accuracy_percent=round(100 * run.findings.accuracy.board, 2),
        executed=executed_by(run.measurement),
        latency_ms=round(run.measurement.latency_ms.median, 3),
        latency_source=run.measurement.latency_source,
        flash_bytes=run.build.flash_bytes,
        ram_bytes=run.build.ram_bytes,
        every_limit_kept=limits == EVERY_LIMIT_IS_KEPT,
        limits="Not every limit was kept." if run.findings.missed else f"{limits.capitalize()}.",
    )
    words = report_in_words(council.model, view)
    save_used(job.folder, council.model, council.turns)
    if words is None:
        job.folder.log("plain summary", reason=council.model.problem)
        job.progress.say(f"The run in words is not the Reporter's: {council.model.problem}.")
    told = printable(words or plain_paragraph(view))
    write_atomically(job.folder.summary, f"{told}\n".encode())
    job.progress.say(told)


def _turn_lost(job: Job, reason: str) -> None:
    job.folder.log("agents lost a turn", reason=reason)
    job.progress.say(f"The offline planner chooses this network: {reason}.")

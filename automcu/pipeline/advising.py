"""The run's agents: with a language model they choose networks, and code carries out the rest."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from automcu.cost.records import Survey
from automcu.errors import WrongInputError
from automcu.pipeline.job import Job
from automcu.pipeline.records import AgentsUsed, Run
from automcu.pipeline.run_folder import load_if_valid
from automcu.planner import Plan
from automcu.planner.agents import KEY_VARIABLES, ModelSettings
from automcu.records import write_atomically

if TYPE_CHECKING:
    from automcu.planner.agents import Council

_USED = "used.json"
# A small model on one slow core reads its prompt in minutes.
_LOCAL_TIME_OUT_S = 300.0


def open_council(job: Job, plan: Plan) -> "Council | None":
    """Return the agents of a run, with what they have used so far; None for the offline planner.

    Raises:
        WrongInputError: no model is named, or neither a key nor a server of one's own.
        ToolError: the local model or what runs it is missing.
    """
    if job.settings.planner == "offline":
        return None
    model = job.settings.model
    if job.settings.planner == "local":
        return _council_of_local_model(job, plan, model)
    if model is None:
        raise WrongInputError(
            "Which language model? Name it with --model, and its server with --base-url."
        )
    if not any(os.environ.get(name) for name in KEY_VARIABLES) and not model.base_url:
        raise WrongInputError(
            f"The language model's key is missing. Set {KEY_VARIABLES[1]} in the environment, or "
            "name a server of your own with --base-url."
        )
    return _council(job, plan, model)


def _council_of_local_model(job: Job, plan: Plan, model: ModelSettings | None) -> "Council":
    """Start the model's server; the file and the budget are the settings' where they say so."""
    from automcu.planner.agents import start_local_server

    server = start_local_server(Path(model.model) if model and model.model else None)
    options = (model or ModelSettings(model=server.model)).model_copy(
        update={
            "model": server.model,
            "base_url": server.base_url,
            "timeout_s": _LOCAL_TIME_OUT_S,
            "attempts": 1,
        }
    )
    council = _council(job, plan, options)
    council.server = server
    return council


def _council(job: Job, plan: Plan, model: ModelSettings) -> "Council":
    # The client takes most of a second to import, which other runs need not wait for.
    from automcu.planner.agents import Council, FeasibleSpace, LanguageModel

    council = Council(
        LanguageModel(model, job.folder.agents),
        FeasibleSpace(_surveys(job, plan), job.brief.max_latency_ms),
        job.settings.seed,
        tell=lambda reason: _turn_lost(job, reason),
    )
    before = load_if_valid(AgentsUsed, job.folder.agents / _USED)
    if before:
        council.turns = before.turns
        council.model.usage.update(before.usage)
    return council


def save_used(job: Job, council: "Council | None") -> AgentsUsed | None:
    """Write down what the agents have used so far."""
    if council is None:
        return None
    used = AgentsUsed(turns=council.turns, usage=council.model.usage, problem=council.model.problem)
    used.save(job.folder.agents / _USED)
    return used


def tell_in_words(job: Job, plan: Plan, run: Run) -> None:
    """Let the Reporter say what came of the run; the paragraph is kept as summary.txt."""
    council = open_council(job, plan)
    if council is None:
        return
    from automcu.planner.agents import ReporterView, report_in_words

    words = report_in_words(
        council.model,
        ReporterView(
            device=run.device.id,
            networks_judged=plan.space,
            networks_that_fit=plan.feasible,
            networks_trained=len(run.candidates),
            accuracy_percent_on_board=round(100 * run.findings.accuracy.board, 2),
            latency_ms=round(run.measurement.latency_ms.median, 3),
            latency_source=run.measurement.latency_source,
            flash_bytes=run.build.flash_bytes,
            ram_bytes=run.build.ram_bytes,
            every_limit_kept=not run.findings.missed,
        ),
    )
    save_used(job, council)
    if words is None:
        job.folder.log("no summary", reason=council.model.problem)
    else:
        write_atomically(job.folder.summary, f"{words}\n".encode())
        job.progress.say(words)


def agents_used(job: Job) -> AgentsUsed | None:
    """Return what the run's agents used; None where it had none."""
    return load_if_valid(AgentsUsed, job.folder.agents / _USED)


def _turn_lost(job: Job, reason: str) -> None:
    job.folder.log("agents lost a turn", reason=reason)
    job.progress.say(f"The offline planner chooses this network: {reason}.")


def _surveys(job: Job, plan: Plan) -> list[Survey]:
    return [
        Survey.load(job.folder.survey(number)) for number, _ in enumerate(plan.surveyed, start=1)
    ]

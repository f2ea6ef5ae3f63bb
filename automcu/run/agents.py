"""The agents of a run: with a language model, they read the brief, choose networks, and report.

Code carries out the rest; without a model, rules and the offline planner do the same.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automcu.brief import (
    Brief,
    Draft,
    complete,
    draft_from_settings,
    nearest_boards,
    override,
    read_brief_file,
    read_sentence,
)
from automcu.errors import WrongInputError, printable
from automcu.mcu import all_devices, find_device
from automcu.networks.cells.plan import load_surveys
from automcu.planner.plan import Plan
from automcu.planner.records import KEY_VARIABLES, AgentTurns, ModelSettings
from automcu.records import write_atomically
from automcu.report.wording import EVERY_LIMIT_IS_KEPT, executed_by, limits_word
from automcu.run.job import Job, RunFolder, load_if_valid
from automcu.run.records import AgentsUsed, Run, Settings

if TYPE_CHECKING:
    from automcu.planner.council import Council
    from automcu.planner.language_model import LanguageModel

_USED = "used.json"
# A small model on one slow core reads its prompt in minutes.
_LOCAL_TIME_OUT_S = 300.0
# Whole answers have up to 300; small models tend to go on and on, at a dozen a second.
_LOCAL_ANSWER_TOKENS = 400


@dataclass(frozen=True)
class OpenedModel:
    """A model, what has to live as long as it does, and the turns that a run has had so far."""

    model: "LanguageModel"
    server: object
    turns: AgentTurns


def open_model(settings: Settings, folder: RunFolder) -> OpenedModel | None:
    """Return a run's language model, with what was used of it so far; None where it has none.

    Raises:
        WrongInputError: no model is named, or neither a key nor a server of one's own.
        ToolError: the local model or what runs it is missing.
    """
    if settings.planner == "offline":
        return None
    if settings.planner == "local":
        return _open_local(settings.model, folder)
    if settings.model is None:
        raise WrongInputError(
            "Which language model? Name it with --model, and its server with --base-url."
        )
    if not any(os.environ.get(name) for name in KEY_VARIABLES) and not settings.model.base_url:
        raise WrongInputError(
            f"The language model's key is missing. Set {KEY_VARIABLES[1]} in the environment, or "
            "name a server of your own with --base-url."
        )
    return _open(settings.model, folder, None)


def _open_local(model: ModelSettings | None, folder: RunFolder) -> OpenedModel:
    """Start the model's server; the file and the budget are the settings' where they say so."""
    from automcu.planner.servers import start_local_server

    server = start_local_server(Path(model.model) if model and model.model else None)
    options = (model or ModelSettings(model=server.model)).model_copy(
        update={
            "model": server.model,
            "base_url": server.base_url,
            "timeout_s": _LOCAL_TIME_OUT_S,
            "attempts": 1,
            "max_answer_tokens": _LOCAL_ANSWER_TOKENS,
        }
    )
    return _open(options, folder, server)


def _open(model: ModelSettings, folder: RunFolder, server: object) -> OpenedModel:
    # The client takes most of a second to import, which other runs need not wait for.
    from automcu.planner.language_model import LanguageModel

    opened = LanguageModel(model, folder.agents)
    before = load_if_valid(AgentsUsed, folder.agents / _USED)
    if before:
        opened.usage.update(before.usage)
    return OpenedModel(opened, server, before.turns if before else AgentTurns())


def save_used(folder: RunFolder, model: "LanguageModel", turns: AgentTurns) -> AgentsUsed:
    """Write down what the agents have used so far."""
    used = AgentsUsed(turns=turns, usage=model.usage, problem=model.problem)
    used.save(folder.agents / _USED)
    return used


def agents_used(folder: RunFolder) -> AgentsUsed | None:
    """Return what a run's agents used; None where it had none."""
    return load_if_valid(AgentsUsed, folder.agents / _USED)


def read_brief(
    sentence: str,
    path: Path,
    file: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
    *,
    notify: Callable[[str], None] = lambda _: None,
    understood: Callable[[Draft], None] = lambda _: None,
) -> Brief:
    """Read the sentence, then the file, then the flags; what comes later is stronger.

    Args:
        sentence: what is wanted, in words; may be empty.
        path: the run folder, where an agent's transcript goes; the run need not have begun.
        file: a TOML file that says the same without prose.
        flags: entries of a brief by the names that `draft_from_settings` gives them.
        settings: name the planner; where agents plan, one of them reads what is still open.
        notify: called with what an agent read, and why nothing was.
        understood: called with all that was understood, before anything is found missing.

    Raises:
        WrongInputError: something is missing or contradicts itself; the message asks for it.
        ToolError: the local model or what runs it is missing.
    """
    from_file = read_brief_file(file) if file else {}
    boards = {id: (one.name, one.mcu, *one.aliases) for id, one in all_devices().items()}
    draft = read_sentence(sentence or from_file.pop("text", ""), boards)
    from_file.pop("text", None)
    for stronger in (from_file, flags or {}):
        draft = override(draft, _draft(stronger))
    if settings and settings.planner != "offline":
        draft = read_with_agent(draft, settings, path, boards, notify)
    understood(draft)
    return complete(draft, nearest_boards(draft.unknown_boards, boards), tuple(sorted(boards)))


def _draft(entries: Mapping[str, Any]) -> Draft:
    device = entries.get("device")
    resolved = {"device": find_device(str(device)).id} if device else {}
    return draft_from_settings(**{**entries, **resolved})


def read_with_agent(
    draft: Draft,
    settings: Settings,
    path: Path,
    boards: Mapping[str, Iterable[str]],
    notify: Callable[[str], None],
) -> Draft:
    """Return the draft with its gaps filled from its own sentence by the Intake agent.

    What the rules, a file or flags said stays. Without a usable answer the draft is as it was.
    A run that is resumed asks nothing again.

    Args:
        draft: what was understood; its text is the sentence.
        settings: name the planner and its language model.
        path: the run folder, where the transcript goes; the run need not have begun.
        boards: board id → its other names.
        notify: called with what was read, and why nothing was.

    Raises:
        WrongInputError: no model is named, or neither a key nor a server of one's own.
        ToolError: the local model or what runs it is missing.
    """
    if not draft.text or not _has_gaps(draft):
        return draft
    folder = RunFolder(path)
    known = load_if_valid(Draft, folder.intake)
    if known and known.text == draft.text:
        return override(draft, known)
    # The client takes most of a second to import, which other runs need not wait for.
    from automcu.planner.intake import read_with_model

    opened = open_model(settings, folder)
    if opened is None:
        return draft
    opened.model.notify = notify
    notify("The language model reads the sentence.")
    reading = read_with_model(opened.model, draft, boards)
    save_used(folder, opened.model, opened.turns)
    if reading is None:
        notify(f"The rules alone read the sentence: {opened.model.problem}.")
        return draft
    for entry, words in reading.words:
        notify(f"Intake read {entry.replace('_', ' ')} from “{words}”.")
    reading.draft.save(folder.intake)
    return override(draft, reading.draft)


def _has_gaps(draft: Draft) -> bool:
    """Say whether there is something to read: words that are open, or a question without answer."""
    return len(draft.boards) != 1 or draft.dataset is None or bool(draft.unused or draft.problems)


def open_council(job: Job, plan: Plan) -> "Council | None":
    """Return the agents of a run, with what they have used so far; None for the offline planner.

    Raises:
        WrongInputError: no model is named, or neither a key nor a server of one's own.
        ToolError: the local model or what runs it is missing.
    """
    opened = open_model(job.settings, job.folder)
    if opened is None:
        return None
    opened.model.notify = job.progress.notify
    # The client takes most of a second to import, which other runs need not wait for.
    from automcu.planner.council import Council, FeasibleSpace

    return Council(
        opened.model,
        FeasibleSpace(load_surveys(job.folder.surveys, plan.surveyed), job.milliseconds_allowed),
        job.settings.seed,
        notify=lambda reason: _turn_lost(job, reason),
        turns=opened.turns,
        server=opened.server,
    )


def write_summary(job: Job, plan: Plan, run: Run) -> None:
    """Let the Reporter describe the run; the paragraph is kept as summary.txt."""
    council = open_council(job, plan)
    if council is None:
        return
    from automcu.planner.council import plain_paragraph, report_in_words
    from automcu.planner.records import ReporterView

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
        job.progress.notify(f"The run in words is not the Reporter's: {council.model.problem}.")
    paragraph = printable(words or plain_paragraph(view))
    write_atomically(job.folder.summary, f"{paragraph}\n".encode())
    job.progress.notify(paragraph)


def _turn_lost(job: Job, reason: str) -> None:
    job.folder.log("agents lost a turn", reason=reason)
    job.progress.notify(f"The offline planner chooses this network: {reason}.")

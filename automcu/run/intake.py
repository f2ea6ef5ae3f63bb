"""Before a run: from a sentence, a file and flags to a brief.

With a language model as planner, it reads what the rules did not understand.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

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
from automcu.mcu import all_devices, find_device
from automcu.run.language_models import open_model, save_used
from automcu.run.records import Settings
from automcu.run.run_folder import RunFolder, load_if_valid


def read_brief(
    sentence: str,
    path: Path,
    file: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
    *,
    say: Callable[[str], None] = lambda _: None,
    understood: Callable[[Draft], None] = lambda _: None,
) -> Brief:
    """Read the sentence, then the file, then the flags; what comes later is stronger.

    Args:
        sentence: what is wanted, in words; may be empty.
        path: the run folder, where an agent's transcript goes; the run need not have begun.
        file: a TOML file that says the same without prose.
        flags: entries of a brief by the names that `draft_from_settings` gives them.
        settings: name the planner; where agents plan, one of them reads what is still open.
        say: called with what an agent read, and why nothing was.
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
        draft = read_with_agent(draft, settings, path, boards, say)
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
    say: Callable[[str], None],
) -> Draft:
    """Return the draft with its gaps filled from its own sentence by the Intake agent.

    What the rules, a file or flags said stays. Without a usable answer the draft is as it was.
    A run that is resumed asks nothing again.

    Args:
        draft: what was understood; its text is the sentence.
        settings: name the planner and its language model.
        path: the run folder, where the transcript goes; the run need not have begun.
        boards: board id → its other names.
        say: hears what was read, and why nothing was.

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
    from automcu.planner.agents.intake import read_with_model

    opened = open_model(settings, folder)
    if opened is None:
        return draft
    opened.model.notify = say
    say("The language model reads the sentence.")
    reading = read_with_model(opened.model, draft, boards)
    save_used(folder, opened.model, opened.turns)
    if reading is None:
        say(f"The rules alone read the sentence: {opened.model.problem}.")
        return draft
    for entry, words in reading.words:
        say(f"Intake read {entry.replace('_', ' ')} from “{words}”.")
    reading.draft.save(folder.intake)
    return override(draft, reading.draft)


def _has_gaps(draft: Draft) -> bool:
    """Say whether there is something to read: words that are open, or a question without answer."""
    return len(draft.boards) != 1 or draft.dataset is None or bool(draft.unused or draft.problems)

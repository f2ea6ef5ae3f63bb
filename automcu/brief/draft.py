"""What has been understood so far: a brief in which anything may still be missing."""

from pydantic import Field

from automcu.brief.brief import Brief
from automcu.errors import WrongInputError
from automcu.records import Record

_MOST_NAMED = 16
_MOST_QUESTIONS = 6


class Problem(Record):
    """Words that look like a limit and could not be read as one.

    `message` says why and what to do; an entry in `settled_by` that a file or a flag gives makes
    the words needless.
    """

    words: str
    message: str
    settled_by: tuple[str, ...] = ()


class Draft(Record):
    """Everything a sentence, a file or flags said; None where they said nothing.

    `boards` holds the ids of all boards that were named, `unknown_boards` the words that look
    like a board but name none. `unused` are the word groups of the sentence that nothing was read
    from, `notes` says of an entry how it was reckoned. Other entries are those of `Brief`.
    """

    text: str = ""
    boards: tuple[str, ...] = ()
    unknown_boards: tuple[str, ...] = ()
    dataset: str | None = None
    family: str | None = None
    max_latency_ms: float | None = None
    max_energy_mj: float | None = None
    max_ram_bytes: int | None = None
    max_flash_bytes: int | None = None
    min_accuracy: float | None = None
    unused: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: dict[str, str] = Field(default_factory=dict)


def override(draft: Draft, stronger: Draft) -> Draft:
    """Return `draft` with everything that `stronger` says put in its place.

    A board that `stronger` names settles the question, so unknown words no longer matter; so does
    a limit for words that could not be read as one.
    """
    said = {
        name: value
        for name, value in stronger.model_dump().items()
        if value not in (None, (), [], "", {})
    }
    if stronger.boards:
        said["unknown_boards"] = ()
    said["problems"] = (
        tuple(one for one in draft.problems if not said.keys() & set(one.settled_by))
        + stronger.problems
    )
    if stronger.text:  # it read the sentence as well, and knows what is left of it
        said["unused"] = stronger.unused
    kept = {entry: note for entry, note in draft.notes.items() if entry not in said}
    said["notes"] = kept | stronger.notes
    return draft.model_copy(update=said)


def complete(
    draft: Draft, nearest_boards: tuple[str, ...] = (), known_boards: tuple[str, ...] = ()
) -> Brief:
    """Turn a draft into a brief.

    Args:
        draft: what was understood.
        nearest_boards: known boards to suggest where the draft names an unknown one.
        known_boards: what to name where none is near.

    Raises:
        WrongInputError: the board or the data is missing or ambiguous, or a limit could not be
            read; the message asks for it.
    """
    messages = list(dict.fromkeys(problem.message for problem in draft.problems))
    questions = messages[:_MOST_QUESTIONS]
    if len(messages) > _MOST_QUESTIONS:
        questions.append(f"And {len(messages) - _MOST_QUESTIONS} more could not be read.")
    if len(draft.boards) != 1 or draft.unknown_boards or draft.dataset is None:
        questions.append(_question(draft, nearest_boards, known_boards))
    if questions or draft.dataset is None:
        raise WrongInputError(" ".join(questions))
    values = draft.model_dump(exclude={"boards", "unknown_boards", "problems"}, exclude_none=True)
    return Brief(device=draft.boards[0], **values)


def _question(draft: Draft, nearest_boards: tuple[str, ...], known: tuple[str, ...]) -> str:
    """Ask for everything that is missing at once, so that one answer is enough."""
    data_hint = "give --data NAME, FOLDER or FILE.npz"
    if len(draft.boards) == 1 and not draft.unknown_boards:
        return f"Which data should it learn from? Name them in the sentence or {data_hint}."
    if draft.unknown_boards:
        words = " or ".join(f"'{word}'" for word in draft.unknown_boards)
        near = f" (nearest: {', '.join(nearest_boards)})" if nearest_boards else ""
        others = f" (known: {', '.join(known[:_MOST_NAMED])})" if known and not near else ""
        named = f", but {' and '.join(draft.boards)} is" if draft.boards else ""
        problem = f"No board is known by the name {words}{near or others}{named}."
        hint = "Give one that `automcu devices` lists with --device"
    elif draft.boards:
        problem = f"Which of these boards is meant: {', '.join(draft.boards)}?"
        hint = "Give one of them with --device"
    else:
        problem = "Which board should it run on?"
        hint = "Name it in the sentence or give --device ID (`automcu devices` lists them)"
    return f"{problem} {hint}{'' if draft.dataset else f', and {data_hint}'}."

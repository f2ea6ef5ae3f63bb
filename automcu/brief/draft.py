"""What has been understood so far: a brief in which anything may still be missing."""

from typing import Literal

from automcu.brief.brief import Brief
from automcu.errors import WrongInputError
from automcu.records import Record


class Draft(Record):
    """Everything a sentence, a file or flags said; None where they said nothing.

    `boards` holds the ids of all boards that were named, `unknown_boards` the words that look
    like a board but name none. Units are those of `Brief`.
    """

    text: str = ""
    boards: tuple[str, ...] = ()
    unknown_boards: tuple[str, ...] = ()
    dataset: str | None = None
    family: Literal["cnn", "vit", "auto"] | None = None
    max_latency_ms: float | None = None
    max_energy_mj: float | None = None
    max_ram_bytes: int | None = None
    max_flash_bytes: int | None = None
    min_accuracy: float | None = None


def override(draft: Draft, stronger: Draft) -> Draft:
    """Return `draft` with everything that `stronger` says put in its place.

    A board that `stronger` names settles the question, so unknown words no longer matter.
    """
    said = {
        name: value
        for name, value in stronger.model_dump().items()
        if value not in (None, (), [], "")
    }
    if stronger.boards:
        said["unknown_boards"] = ()
    return Draft.model_validate({**draft.model_dump(), **said})


def complete(draft: Draft, nearest_boards: tuple[str, ...] = ()) -> Brief:
    """Turn a draft into a brief.

    Args:
        draft: what was understood.
        nearest_boards: known boards to suggest where the draft names an unknown one.

    Raises:
        WrongInputError: the board or the data is missing or ambiguous; the message asks for it.
    """
    if len(draft.boards) != 1 or draft.dataset is None:
        raise WrongInputError(_question(draft, nearest_boards))
    values = draft.model_dump(exclude={"boards", "unknown_boards"}, exclude_none=True)
    return Brief(device=draft.boards[0], **values)


def _question(draft: Draft, nearest_boards: tuple[str, ...]) -> str:
    """Ask for everything that is missing at once, so that one answer is enough."""
    data_hint = "give --data NAME, FOLDER or FILE.npz"
    if len(draft.boards) == 1:
        return f"Which data should it learn from? Name them in the sentence or {data_hint}."
    if draft.boards:
        problem = f"Which of these boards is meant: {', '.join(draft.boards)}?"
        hint = "Give one of them with --device"
    elif draft.unknown_boards:
        words = " or ".join(f"'{word}'" for word in draft.unknown_boards)
        near = f" (nearest: {', '.join(nearest_boards)})" if nearest_boards else ""
        problem = f"No board is known by the name {words}{near}."
        hint = "Give one that `automcu devices` lists with --device"
    else:
        problem = "Which board should it run on?"
        hint = "Name it in the sentence or give --device ID (`automcu devices` lists them)"
    return f"{problem} {hint}{'' if draft.dataset else f', and {data_hint}'}."

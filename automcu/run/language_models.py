"""The language model of a run: opened where the settings name one, its use written down."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from automcu.errors import WrongInputError
from automcu.planner.agents.records import KEY_VARIABLES, AgentTurns, ModelSettings
from automcu.run.records import AgentsUsed, Settings
from automcu.run.run_folder import RunFolder, load_if_valid

if TYPE_CHECKING:
    from automcu.planner.agents.language_model import LanguageModel

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
    from automcu.planner.agents.servers import start_local_server

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
    from automcu.planner.agents.language_model import LanguageModel

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

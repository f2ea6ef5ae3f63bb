"""The state of a training between two epochs: enough to go on as if never interrupted."""

import copy
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from automcu.datasets.record import Dataset
from automcu.errors import WrongInputError
from automcu.records import write_atomically
from automcu.training.records import EpochResult, Recipe, StopReason

FORMAT = 1
WARMUP_STEPS = 10
"""Early averages are short, (1 + t) / (10 + t), or they would remember the random start."""


class AveragedNetwork:
    """A copy of a network that follows its weights at a distance.

    torch's own AveragedModel walks through all modules at each step, a fifth of a training step of
    the networks that fit microcontrollers; this one lists the tensors once.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.steps = 0
        self._decay = decay
        pairs = list(
            zip(self.network.state_dict().values(), network.state_dict().values(), strict=True)
        )
        self._averages = [mean for mean, _ in pairs if mean.is_floating_point()]
        self._values = [value for mean, value in pairs if mean.is_floating_point()]
        self._counters = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Move the averages towards the network's present weights."""
        keep = min(self._decay, (1 + self.steps) / (WARMUP_STEPS + self.steps))
        torch._foreach_lerp_(self._averages, self._values, 1 - keep)
        for counter, value in self._counters:
            counter.copy_(value)
        self.steps += 1


@dataclass
class State:
    """What a checkpoint holds."""

    network: nn.Module
    averaged: AveragedNetwork
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = 0
    curve: list[EpochResult] = field(default_factory=list)
    seconds: float = 0.0
    ending: StopReason | None = None


def checkpoint_of(run: State, identity: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a checkpoint."""
    return {
        "fingerprint": identity,
        "network": run.network.state_dict(),
        "averaged": run.averaged.network.state_dict(),
        "averaged_steps": run.averaged.steps,
        "optimizer": run.optimizer.state_dict(),
        "generator": run.generator.get_state(),
        "random": torch.get_rng_state(),
        "best_weights": run.best_weights,
        "best_epoch": run.best_epoch,
        "curve": [point.model_dump() for point in run.curve],
        "seconds": run.seconds,
        "ending": run.ending,
    }


def restore(run: State, state: dict[str, Any]) -> None:
    """Go back to where a checkpoint was saved."""
    run.network.load_state_dict(state["network"])
    run.averaged.network.load_state_dict(state["averaged"])
    run.averaged.steps = state["averaged_steps"]
    run.optimizer.load_state_dict(state["optimizer"])
    run.generator.set_state(state["generator"])
    torch.set_rng_state(state["random"])
    run.best_weights = state["best_weights"]
    run.best_epoch = state["best_epoch"]
    run.curve = [EpochResult.model_validate(point) for point in state["curve"]]
    run.seconds = state["seconds"]
    run.ending = state["ending"]


def fingerprint(network: nn.Module, dataset: Dataset, recipe: Recipe, seed: int) -> dict[str, Any]:
    """Return what must be equal for a checkpoint to be continued."""
    return {
        "format": FORMAT,
        "recipe": recipe.model_dump_json(),
        "seed": seed,
        "dataset": f"{dataset.name} {dataset.train.inputs.shape} {dataset.validation.inputs.shape}",
        "network": " ".join(f"{key}{list(value.shape)}" for key, value in _tensors(network)),
    }


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors, numbers, strings, lists and dicts of these), whole or not at all."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path, expected: dict[str, Any]) -> dict[str, Any]:
    """Read the checkpoint of the training with fingerprint `expected`; no code in it is run.

    Raises:
        WrongInputError: it is damaged, or of another training.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        found = state["fingerprint"]
    except Exception as error:  # a damaged pickle can fail in any way
        raise WrongInputError(
            f"{path} is not a readable checkpoint. Delete it to train from the start."
        ) from error
    for key, value in expected.items():
        if found.get(key) != value:
            raise WrongInputError(
                f"{path} is the checkpoint of another training (its {key} differs). "
                "Delete it to train from the start, or choose another file."
            )
    return state


def _tensors(network: nn.Module) -> list[tuple[str, torch.Tensor]]:
    return sorted(network.state_dict().items())

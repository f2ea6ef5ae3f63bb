"""A training on disk: enough to go on as if it had never been interrupted."""

import io
from pathlib import Path
from typing import Any

import torch
from torch import nn

from automcu.datasets.record import Dataset
from automcu.errors import WrongInputError
from automcu.records import write_atomically
from automcu.training.recipe import Recipe

FORMAT = 1


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

"""Training of the networks that `benchmarks.vision_transformer` compares, a stage for each.

    python -m benchmarks.transformer_training FOLDER [DATASET/NETWORK ...]

A stage writes `FOLDER/DATASET/NETWORK.pt` and, beside it, a record of epochs, seed, seconds and
accuracy; one that is there already is not trained again, one that was interrupted goes on. A
ternary network needs its float teacher's stage and trains it first.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from automcu.datasets.load import load_dataset
from automcu.datasets.record import Dataset
from automcu.networks.cells.cell import Cell
from automcu.networks.cells.skeleton import Architecture, Skeleton
from automcu.networks.cells.torch import build_network
from automcu.networks.transformers.family import TransformerShape
from automcu.networks.transformers.torch import build_vision_transformer
from automcu.records import Record
from automcu.training.loop import accuracy, train
from automcu.training.records import Recipe
from automcu.training.ternary import TernaryRecipe, train_ternary
from benchmarks.mlperf_tiny import data_folder

SEED = 0
_SHORT_EPOCH = 20_000  # images
CELL = 11472  # the ResNet block of NAS-Bench-201's paper

Build = Callable[[bool], nn.Module]
"""Whether it is ternary, to a network."""
Settings = dict[str, Any]
"""Of a `Recipe`."""


@dataclass(frozen=True)
class Stage:
    """A network to train; a ternary one learns from the stage `teacher`.

    With `short_floats` products are bfloat16, which halves the time of convolutions on processors
    that have them; weights, sums and the accuracies that are reported are float32. A network that
    is not `deployed` is there to teach.
    """

    name: str
    build: Build
    recipe: Recipe | TernaryRecipe
    teacher: str = ""
    short_floats: bool = False
    deployed: bool = True


@dataclass(frozen=True)
class Comparison:
    """A data set and the networks that are trained on it."""

    name: str
    file: str
    stages: tuple[Stage, ...]


class Trained(Record):
    """What a training left behind."""

    network: str
    parameters: int
    epochs: tuple[int, ...]
    images_per_epoch: int
    seed: int
    seconds: float
    validation_accuracy: float
    test_accuracy: float


def _transformer(**shape: int) -> Build:
    return lambda ternary: build_vision_transformer(TransformerShape(**shape), ternary=ternary)


def _cell(stem: int, resolution: int, channels: int) -> Build:
    skeleton = Skeleton(
        stem_channels=stem, cells_per_stage=1, resolution=resolution, input_channels=channels
    )
    cell = str(Cell.from_index(CELL))
    return lambda ternary: build_network(
        Architecture(cell=cell, skeleton=skeleton.model_copy(update={"ternary": ternary}))
    )


def _ternary(imitation: Recipe, recovery_epochs: int) -> TernaryRecipe:
    """Both phases; the second has a tenth of the rate."""
    recovery = {"epochs": recovery_epochs, "learning_rate": imitation.learning_rate / 10}
    return TernaryRecipe(
        imitation=imitation,
        recovery=imitation.model_copy(update=recovery),
        temperature=2.0,
    )


def _transformers(
    build: Build, epochs: tuple[int, int, int], common: Settings
) -> tuple[Stage, ...]:
    """`epochs` are those of the float network and of both phases of the ternary one."""
    settings = {"batch_size": 128, "learning_rate": 2e-3, **common}
    short = {"weight_decay": 0.0, "images_per_epoch": _SHORT_EPOCH}
    imitation = Recipe(epochs=epochs[1], **{**settings, **short})
    return (
        Stage("float ViT", build, Recipe(epochs=epochs[0], **settings), deployed=False),
        Stage("ternary ViT", build, _ternary(imitation, epochs[2]), "float ViT"),
    )


def _cells(
    narrow: Build, wide: Build, epochs: tuple[int, int, int], common: Settings
) -> tuple[Stage, ...]:
    """The int8 network, and the wider ternary one with its teacher; steps are taken in bfloat16."""
    settings = {"batch_size": 128, **common}
    plain = Recipe(epochs=epochs[0], learning_rate=1e-2, **settings)
    imitation = Recipe(epochs=epochs[1], learning_rate=4e-3, weight_decay=0.0, **settings)
    return (
        Stage("int8 CNN", narrow, plain, short_floats=True),
        Stage("float CNN", wide, plain, short_floats=True, deployed=False),
        Stage("ternary CNN", wide, _ternary(imitation, epochs[2]), "float CNN", short_floats=True),
    )


_MNIST: Settings = {"shift_pixels": 1.0, "images_per_epoch": _SHORT_EPOCH}
_CIFAR10: Settings = {"shift_pixels": 2.7, "flip": True}
COMPARISONS = {
    "mnist": Comparison(
        "mnist",
        "mnist_full.npz",
        (
            *_transformers(
                _transformer(
                    resolution=28, in_channels=1, patch=7, dim=64, depth=3, heads=4, mlp_ratio=4
                ),
                (12, 16, 4),
                _MNIST,
            ),
            *_cells(_cell(7, 28, 1), _cell(16, 28, 1), (8, 6, 2), _MNIST),
        ),
    ),
    "cifar10": Comparison(
        "cifar10",
        "cifar10_train_jpegpack.npz",
        (
            *_transformers(
                _transformer(
                    resolution=32, in_channels=3, patch=4, dim=64, depth=4, heads=4, mlp_ratio=2
                ),
                (15, 4, 1),
                _CIFAR10,
            ),
            *_cells(
                _cell(7, 32, 3),
                _cell(16, 32, 3),
                (4, 3, 1),
                {**_CIFAR10, "images_per_epoch": _SHORT_EPOCH},
            ),
        ),
    ),
}


QUICK = Comparison(
    "digits",
    "",
    (
        *_transformers(
            _transformer(resolution=8, in_channels=1, patch=2, dim=32, depth=1, heads=2),
            (1, 1, 1),
            {"shift_pixels": 0.7},
        ),
        *_cells(_cell(4, 8, 1), _cell(8, 8, 1), (1, 1, 1), {"shift_pixels": 0.7}),
    ),
)


def dataset_of(comparison: Comparison) -> Dataset:
    """Load the images; those without a file of the project's own data have their name."""
    source = data_folder() / comparison.file if comparison.file else comparison.name
    return load_dataset(str(source), seed=SEED)


def trained_network(
    comparison: Comparison, name: str, folder: Path, dataset: Dataset
) -> tuple[nn.Module, Trained]:
    """Load a stage's network, training it first where that was not done."""
    stage = next(stage for stage in comparison.stages if stage.name == name)
    weights, record = (_file(folder, comparison, name, ending) for ending in ("pt", "json"))
    torch.manual_seed(SEED)
    network = stage.build(bool(stage.teacher))
    if not record.exists():
        # Without the cache: it would keep the weights of the first step for the whole training.
        short = {"enabled": stage.short_floats, "cache_enabled": False}
        with torch.autocast("cpu", torch.bfloat16, **short):
            trained = _train(comparison, stage, network, folder, dataset)
        epochs, images, seconds, validation = trained
        torch.save(network.state_dict(), weights)
        Trained(
            network=name,
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            epochs=epochs,
            images_per_epoch=min(images, len(dataset.train.labels)),
            seed=SEED,
            seconds=round(seconds, 1),
            validation_accuracy=validation,
            test_accuracy=accuracy(network, dataset.test),
        ).save(record)
    network.load_state_dict(torch.load(weights, weights_only=True))
    return network.eval(), Trained.load(record)


def _train(
    comparison: Comparison, stage: Stage, network: nn.Module, folder: Path, dataset: Dataset
) -> tuple[tuple[int, ...], int, float, float]:
    """Epochs, images of each, seconds and validation accuracy."""
    checkpoints = _file(folder, comparison, stage.name, "checkpoints")
    checkpoints.mkdir(parents=True, exist_ok=True)
    images = len(dataset.train.labels)
    if isinstance(stage.recipe, Recipe):
        results = (
            train(
                network,
                dataset,
                stage.recipe,
                SEED,
                _progress(comparison, stage),
                checkpoint=checkpoints / "training.pt",
            ),
        )
        images = stage.recipe.images_per_epoch or images
    else:
        teacher, _ = trained_network(comparison, stage.teacher, folder, dataset)
        results = train_ternary(
            network,
            teacher,
            dataset,
            stage.recipe,
            SEED,
            _progress(comparison, stage),
            checkpoints=checkpoints,
        )
        images = stage.recipe.imitation.images_per_epoch or images
    return (
        tuple(len(result.curve) for result in results),
        images,
        sum(result.seconds for result in results),
        results[-1].best_validation_accuracy,
    )


def _progress(
    comparison: Comparison, stage: Stage
) -> Callable[[int, int, float, float, float], None]:
    def show(epoch: int, epochs: int, loss: float, validation: float, left: float) -> None:
        print(
            f"{comparison.name} {stage.name}: epoch {epoch} of {epochs}, loss {loss:.4f}, "
            f"{validation:.2%}, {left:.0f} s left",
            file=sys.stderr,
            flush=True,
        )

    return show


def _file(folder: Path, comparison: Comparison, network: str, ending: str) -> Path:
    return folder / comparison.name / f"{network.replace(' ', '_')}.{ending}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where what is trained is left")
    parser.add_argument("wanted", nargs="*", metavar="DATASET/NETWORK", help="default: all")
    arguments = parser.parse_args()
    known = {
        f"{comparison.name}/{stage.name.replace(' ', '_')}"
        for comparison in COMPARISONS.values()
        for stage in comparison.stages
    }
    if unknown := sorted({*arguments.wanted} - known):
        parser.error(f"{', '.join(unknown)}: choose from {', '.join(sorted(known))}")
    for comparison in COMPARISONS.values():
        stages = [
            stage.name
            for stage in comparison.stages
            if not arguments.wanted
            or f"{comparison.name}/{stage.name.replace(' ', '_')}" in arguments.wanted
        ]
        dataset = dataset_of(comparison) if stages else None
        for name in stages:
            assert dataset is not None
            print(trained_network(comparison, name, arguments.folder, dataset)[1].model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Training of the networks that `benchmarks.vision_transformer` compares, a stage for each.

    python -m benchmarks.transformer_training FOLDER [DATASET/NETWORK ...]

A stage writes `FOLDER/DATASET/NETWORK.pt` and, beside it, a record of epochs, seed, seconds and
accuracy; one that is there already is not trained again, one that was interrupted goes on. A
ternary network needs its float teacher's stage and trains it first.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from automcu.datasets import Dataset, load_dataset
from automcu.models import build_network, build_vision_transformer
from automcu.records import Record
from automcu.space import Architecture, Cell, Skeleton, TransformerShape
from automcu.training import Recipe, TernaryRecipe, accuracy, train, train_ternary
from benchmarks.mlperf_tiny import data_folder

SEED = 0
CELL = 11472  # the ResNet block of NAS-Bench-201's paper

Build = Callable[[bool], nn.Module]
"""Whether it is ternary, to a network."""


@dataclass(frozen=True)
class Stage:
    """A network to train; a ternary one learns from the stage `teacher`."""

    name: str
    build: Build
    recipe: Recipe | TernaryRecipe
    teacher: str = ""


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


def _ternary(imitation: Recipe, recovery_epochs: int, temperature: float) -> TernaryRecipe:
    """Both phases; the second has a tenth of the rate."""
    recovery = {"epochs": recovery_epochs, "learning_rate": imitation.learning_rate / 10}
    return TernaryRecipe(
        imitation=imitation,
        recovery=imitation.model_copy(update=recovery),
        temperature=temperature,
    )


def _comparison(
    name: str,
    file: str,
    transformer: Build,
    cells: tuple[Build, Build],
    common: dict[str, float],
    epochs: tuple[int, int, int],
) -> Comparison:
    """The usual networks; `cells` are the int8 one and the wider ternary one.

    Rates are those of minutes, not of days. `epochs` are those of float networks and of both
    phases of ternary ones.
    """
    first, imitation, recovery = epochs
    vit = {"batch_size": 128, "learning_rate": 2e-3, **common}
    cnn = {"batch_size": 128, "learning_rate": 1e-2, **common}
    vit_ternary = Recipe(epochs=imitation, weight_decay=0.0, **vit)
    cnn_ternary = Recipe(epochs=imitation, weight_decay=0.0, **{**cnn, "learning_rate": 4e-3})
    return Comparison(
        name,
        file,
        (
            Stage("float ViT", transformer, Recipe(epochs=first, **vit)),
            Stage("ternary ViT", transformer, _ternary(vit_ternary, recovery, 2.0), "float ViT"),
            Stage("int8 CNN", cells[0], Recipe(epochs=first, **cnn)),
            Stage("float CNN", cells[1], Recipe(epochs=first, **cnn)),
            Stage("ternary CNN", cells[1], _ternary(cnn_ternary, recovery, 2.0), "float CNN"),
        ),
    )


COMPARISONS = {
    "mnist": _comparison(
        "mnist",
        "mnist_full.npz",
        _transformer(resolution=28, in_channels=1, patch=7, dim=64, depth=3, heads=4, mlp_ratio=4),
        (_cell(7, 28, 1), _cell(16, 28, 1)),
        {"shift_pixels": 1.0, "images_per_epoch": 20_000},
        (12, 16, 4),
    ),
    "cifar10": _comparison(
        "cifar10",
        "cifar10_train_jpegpack.npz",
        _transformer(resolution=32, in_channels=3, patch=4, dim=64, depth=4, heads=4, mlp_ratio=2),
        (_cell(7, 32, 3), _cell(16, 32, 3)),
        {"shift_pixels": 2.7, "flip": True},
        (15, 12, 3),
    ),
}


def dataset_of(comparison: Comparison) -> Dataset:
    """Load the images."""
    return load_dataset(str(data_folder() / comparison.file), seed=SEED)


def trained_network(
    comparison: Comparison, name: str, folder: Path, dataset: Dataset
) -> tuple[nn.Module, Trained]:
    """Load a stage's network, training it first where that was not done."""
    stage = next(stage for stage in comparison.stages if stage.name == name)
    weights, record = (_file(folder, comparison, name, ending) for ending in ("pt", "json"))
    torch.manual_seed(SEED)
    network = stage.build(bool(stage.teacher))
    if not record.exists():
        epochs, images, seconds, validation = _train(comparison, stage, network, folder, dataset)
        torch.save(network.state_dict(), weights)
        Trained(
            network=name,
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            epochs=epochs,
            images_per_epoch=images,
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
    folder, *wanted = sys.argv[1:]
    for comparison in COMPARISONS.values():
        stages = [
            stage.name
            for stage in comparison.stages
            if not wanted or f"{comparison.name}/{stage.name.replace(' ', '_')}" in wanted
        ]
        dataset = dataset_of(comparison) if stages else None
        for name in stages:
            assert dataset is not None
            print(trained_network(comparison, name, Path(folder), dataset)[1].model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())

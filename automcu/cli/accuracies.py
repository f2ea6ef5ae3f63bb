"""The accuracy table that a user names, where the embedded one should not rank cells."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from automcu.networks.cells.accuracies import AccuracyTable
    from automcu.networks.cells.nats_bench import AccuracyDataset

EMBEDDED_PRIOR = "AnalogNAS-Bench, CIFAR-10, float"  # what `accuracy_prior().source` says


def named_table(path: Path | None, dataset: str | None) -> "AccuracyTable | None":
    """Read the table at `path`; None where none is named.

    Raises:
        WrongInputError: it cannot be read, there is no such data set, or a data set is named
            without a table.
    """
    from automcu.errors import WrongInputError

    if path is None:
        if dataset is not None:
            raise WrongInputError(
                "--accuracy-dataset chooses from NATS-Bench's files. Name one in --accuracy-table."
            )
        return None
    from automcu.networks.cells.accuracies import read_accuracy_table

    return read_accuracy_table(path, accuracy_dataset_named(dataset or "cifar10"))


def accuracy_dataset_named(name: str) -> "AccuracyDataset":
    """Return the data set of this name.

    Raises:
        WrongInputError: NATS-Bench has none of this name.
    """
    from automcu.errors import WrongInputError
    from automcu.networks.cells.nats_bench import ACCURACY_DATASETS

    for known in ACCURACY_DATASETS:
        if known.lower() == name.lower():
            return known
    raise WrongInputError(
        f"NATS-Bench has no accuracies on {name!r}. Choose one of {', '.join(ACCURACY_DATASETS)}."
    )

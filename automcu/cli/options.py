"""Options that several commands share, and what they are read as."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from automcu.brief import Limits, draft_from_settings
from automcu.errors import WrongInputError

if TYPE_CHECKING:
    from automcu.networks.cells.accuracies import AccuracyDataset, AccuracyTable

EMBEDDED_PRIOR = "AnalogNAS-Bench, CIFAR-10, float"  # what `accuracy_prior().source` says

DeviceId = Annotated[
    str, typer.Option("--device", "-d", help="Board: id, alias or MCU; `automcu devices` lists.")
]
MaxLatency = Annotated[
    float | None, typer.Option("--max-latency-ms", metavar="MS", help="Latency limit.")
]
MaxEnergy = Annotated[
    str | None,
    typer.Option(
        "--max-energy", metavar="ENERGY", help='Energy limit of an inference, as in "2 mJ".'
    ),
]
MaxRam = Annotated[
    str | None, typer.Option("--max-ram", metavar="SIZE", help='RAM limit, as in "64 KB".')
]
MaxFlash = Annotated[
    str | None, typer.Option("--max-flash", metavar="SIZE", help='Flash limit, as in "256 KB".')
]
Weights = Annotated[
    str,
    typer.Option(
        "--weights",
        metavar="auto|8|6|4|3|2|ternary",
        help="Bits of a model file's weights; auto: fewer where flash asks for it.",
    ),
]
AccuracyData = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="DATA",
        help="Labelled data to measure what low-bit weights cost: whatever --calibrate takes, or "
        ".npz of int8 x and y.",
    ),
]
AccuracyTablePath = Annotated[
    Path | None,
    typer.Option(
        "--accuracy-table",
        metavar="PATH",
        help="Known accuracies to rank cells by: CSV, or NATS-Bench's file or folder.",
    ),
]
AccuracyDatasetName = Annotated[
    str | None,
    typer.Option(
        "--accuracy-dataset",
        metavar="cifar10|cifar100|ImageNet16-120",
        help="Which of NATS-Bench's accuracies (cifar10).",
    ),
]
CalibrationData = Annotated[
    str | None,
    typer.Option(
        "--calibrate",
        metavar="DATA",
        help="Quantise a float .onnx first, with a data set or a .npz of x as the model takes it.",
    ),
]
StemChannels = Annotated[
    int,
    typer.Option("--stem-channels", "--stem", metavar="N", min=1, help="Width of the skeleton."),
]
CellsPerStage = Annotated[
    int,
    typer.Option("--cells-per-stage", "--cells", metavar="N", min=1, help="Depth of the skeleton."),
]
Resolution = Annotated[
    int, typer.Option("--resolution", metavar="PIXELS", min=4, help="Side of the input.")
]
InputChannels = Annotated[
    int, typer.Option("--input-channels", metavar="N", min=1, help="Channels of the input.")
]
Classes = Annotated[int, typer.Option("--classes", metavar="N", min=2, help="Classes told apart.")]
Board = Annotated[
    str,
    typer.Option(
        "--board", metavar="virtual|PORT", help="Virtual board, any pyserial URL, or labgrid:PLACE."
    ),
]


def read_limits(
    max_latency_ms: float | None,
    max_energy: str | None,
    max_ram: str | None,
    max_flash: str | None,
) -> Limits:
    """Read limits given as flags as a brief would read them.

    Raises:
        WrongInputError: a value is no amount.
    """
    draft = draft_from_settings(
        max_latency_ms=max_latency_ms, max_energy=max_energy, max_ram=max_ram, max_flash=max_flash
    )
    return Limits(
        latency_ms=draft.max_latency_ms,
        energy_mj=draft.max_energy_mj,
        ram_bytes=draft.max_ram_bytes,
        flash_bytes=draft.max_flash_bytes,
    )


def read_table(path: Path | None, dataset: str | None) -> "AccuracyTable | None":
    """Read the accuracy table at `path`, by which to rank cells; None where none is named.

    Raises:
        WrongInputError: it cannot be read, there is no such data set, or a data set is named
            without a table.
    """
    if path is None:
        if dataset is not None:
            raise WrongInputError(
                "--accuracy-dataset chooses from NATS-Bench's files. Name one in --accuracy-table."
            )
        return None
    # Needs numpy, which the embedded table does not.
    from automcu.networks.cells.accuracies import read_accuracy_table

    return read_accuracy_table(path, accuracy_dataset_named(dataset or "cifar10"))


def accuracy_dataset_named(name: str) -> "AccuracyDataset":
    """Return the data set of this name.

    Raises:
        WrongInputError: NATS-Bench has none of this name.
    """
    from automcu.networks.cells.accuracies import ACCURACY_DATASETS

    for known in ACCURACY_DATASETS:
        if known.lower() == name.lower():
            return known
    raise WrongInputError(
        f"NATS-Bench has no accuracies on {name!r}. Choose one of {', '.join(ACCURACY_DATASETS)}."
    )

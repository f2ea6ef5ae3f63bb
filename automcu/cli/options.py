"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

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
        help="Labelled data that tells what narrow weights cost: whatever --calibrate takes, or "
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

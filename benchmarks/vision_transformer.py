"""Ternary vision transformers and ternary cells beside int8 ones, on MNIST and CIFAR-10.

    python -m benchmarks.vision_transformer [--quick] [--json] [--folder FOLDER] [--data NAME ...]
        [--networks NAME ...]

Needs `mnist_full.npz` and `cifar10_*_jpegpack.npz` in `$AUTOMCU_DATA` or `../shared/data`. For
each data set: a float transformer; the ternary one that starts from its weights and imitates it; an
int8 NAS-Bench-201 cell and a wider, ternary one of about the same flash.
`benchmarks.transformer_training` trains them, a stage for each, in FOLDER (usually
runs/vision_transformer), where a stage that is done stays done. Each network is then exported,
compiled and built for a NUCLEO-L4R5ZI, whose virtual twin answers for some test images and has to
give the reference's bytes. Accuracy is that of the float teacher, of the network in float
arithmetic, and of the integer program, on all test images; latency is that of the virtual board's
timing model. `benchmarks/vision_transformer.csv` holds a row for each data set and network.
`--quick` takes the digits, one epoch of each training, and writes no CSV.
"""

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from torch import nn

from automcu.boards.bench import bench_project
from automcu.compiler import compile_graph, import_onnx, write_project
from automcu.datasets.record import Dataset, Split
from automcu.errors import AutomcuError
from automcu.export.float_onnx import export_onnx
from automcu.export.quantise import calibration_inputs, quantise_onnx, write_ternary_weights
from automcu.mcu import find_device
from automcu.networks.transformers.torch import VisionTransformer, export_transformer
from automcu.toolchains import build_project, find_compiler
from automcu.training.loop import accuracy
from automcu.training.ternary import with_ternary_values
from benchmarks.transformer_training import (
    COMPARISONS,
    QUICK,
    Comparison,
    Stage,
    Trained,
    dataset_of,
    trained_network,
)

DEVICE = "nucleo-l4r5zi"
FOLDER = Path("runs/vision_transformer")
BOARD_INPUTS = 16
_REFERENCE_BATCH = 500


def rows(
    comparison: Comparison, folder: Path, networks: list[str] | None = None
) -> list[dict[str, object]]:
    """A row for each network that is deployed, or for those that are named."""
    dataset = dataset_of(comparison)
    return [
        _row(comparison, stage, folder, dataset)
        for stage in comparison.stages
        if stage.deployed and (networks is None or stage.name in networks)
    ]


def _row(comparison: Comparison, stage: Stage, folder: Path, dataset: Dataset) -> dict[str, object]:
    network, record = trained_network(comparison, stage.name, folder, dataset)
    teacher: Trained | None = None
    if stage.teacher:
        _, teacher = trained_network(comparison, stage.teacher, folder, dataset)
    print(f"{comparison.name} {stage.name}: on the virtual board", file=sys.stderr)
    return {
        "data": comparison.name,
        "network": stage.name,
        "parameters": record.parameters,
        "accuracy_float_teacher": teacher and round(teacher.test_accuracy, 4),
        "accuracy_float": round(accuracy(network, dataset.test), 4),
        **_deployed(network, stage, dataset),
        "epochs": "+".join(map(str, record.epochs)),
        "images_per_epoch": record.images_per_epoch,
        "training_seconds": round(record.seconds),
        "seed": record.seed,
    }


def _deployed(network: nn.Module, stage: Stage, dataset: Dataset) -> dict[str, object]:
    device = find_device(DEVICE)
    with TemporaryDirectory() as folder:
        path, project = Path(folder, "int8.onnx"), Path(folder, "project")
        _export(network, bool(stage.teacher), dataset, path)
        program = compile_graph(import_onnx(path), device)
        integers = _integers(dataset.test)
        write_project(program, device.id, project, golden_inputs=integers[:BOARD_INPUTS])
        build = build_project(project, device, find_compiler(device.core))
        measured = bench_project(project, device, "virtual")
    if measured.mismatches:
        raise AssertionError(f"{measured.mismatches} answers of the board are not the reference's")
    answers = [
        program.run(integers[start : start + _REFERENCE_BATCH]).argmax(axis=1)
        for start in range(0, len(integers), _REFERENCE_BATCH)
    ]
    correct = np.concatenate(answers) == dataset.test.labels
    return {
        "accuracy_integers": round(float(correct.mean()), 4),
        "test_images": len(correct),
        "flash_bytes": build.flash_bytes,
        "weight_bytes": build.weight_bytes,
        "ram_bytes": build.ram_bytes,
        "arena_bytes": build.arena_bytes,
        "macs": program.macs,
        "latency_ms": round(measured.latency_ms.median, 2),
        "board_inputs": measured.inputs,
        "device": device.id,
        "compiler": build.compiler,
    }


def _export(network: nn.Module, is_ternary: bool, dataset: Dataset, path: Path) -> None:
    calibration = calibration_inputs(dataset)
    if isinstance(network, VisionTransformer):
        export_transformer(network, calibration, path)
        return
    plain = path.with_name("float.onnx")
    export_onnx(with_ternary_values(network), dataset.input_shape, plain)
    quantise_onnx(plain, calibration, path)
    if is_ternary:
        write_ternary_weights(path)


def _integers(split: Split) -> np.ndarray:
    return (np.rint(split.inputs * 255) - 128).astype(np.int8)


def _save(found: pd.DataFrame) -> None:
    """Write the rows; those of other networks stay."""
    path = Path(__file__).with_suffix(".csv")
    if path.exists():
        before = pd.read_csv(path)
        keys = ["data", "network"]
        again = pd.MultiIndex.from_frame(before[keys]).isin(pd.MultiIndex.from_frame(found[keys]))
        found = pd.concat([before[~again], found])
    found.to_csv(path, index=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="digits, one epoch of each training")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--data", nargs="*", default=list(COMPARISONS), choices=list(COMPARISONS))
    parser.add_argument("--networks", nargs="*", help="such as 'ternary ViT'; otherwise all")
    options = parser.parse_args()
    try:
        if options.quick:
            with TemporaryDirectory() as folder:
                found = rows(QUICK, Path(folder))
        else:
            found = [
                row
                for name in options.data
                for row in rows(COMPARISONS[name], options.folder, options.networks)
            ]
    except AutomcuError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if not options.quick:
        _save(pd.DataFrame(found))
    if options.json:
        print(json.dumps(found))
        return 0
    print(
        f"{'data':9}{'network':13}{'teacher':>8}{'float':>8}{'int8':>8}{'flash KB':>10}"
        f"{'RAM KB':>8}{'ms':>9}  epochs"
    )
    for row in found:
        teacher = row["accuracy_float_teacher"]
        print(
            f"{row['data']:9}{row['network']:13}"
            f"{'–' if teacher is None else f'{100 * teacher:.2f}':>8}"
            f"{100 * row['accuracy_float']:8.2f}{100 * row['accuracy_integers']:8.2f}"
            f"{row['flash_bytes'] / 1024:10.1f}{row['ram_bytes'] / 1024:8.1f}"
            f"{row['latency_ms']:9.1f}  {row['epochs']} of {row['images_per_epoch']:,}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

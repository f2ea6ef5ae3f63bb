"""A ternary vision transformer on MNIST: trained, exported, compiled, run on a virtual board.

    python -m benchmarks.vision_transformer [--quick] [--json]

Needs `mnist_full.npz` in `$AUTOMCU_DATA` or `../shared/data`. A float transformer is trained first;
the ternary one starts from its weights and imitates it (`TernaryRecipe`). Accuracy is that of the
float network, of the ternary one in float arithmetic, and of the integer program, which a virtual
NUCLEO-L4R5ZI answers as well for a few images: it has to give the same bytes. Cycles are those of
the timing model, with flash wait states. `benchmarks/vision_transformer.csv` holds the row.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from automcu.boards.bench import bench_project
from automcu.boards.count import count_cycles
from automcu.compiler import compile_graph, import_onnx, write_project
from automcu.datasets import Dataset, load_dataset
from automcu.devices import find_device
from automcu.errors import AutomcuError
from automcu.export.transformer_onnx import export_transformer
from automcu.models.vision_transformer import VisionTransformer, build_vision_transformer
from automcu.space import TransformerShape
from automcu.toolchains import build_project, find_compiler
from automcu.training import Recipe, accuracy
from automcu.training.loop import train
from automcu.training.ternary import TernaryRecipe, train_ternary
from benchmarks.mlperf_tiny import data_folder

DEVICE = "nucleo-l4r5zi"
SHAPE = TransformerShape(resolution=28, patch=7, dim=64, depth=3, heads=4, mlp_ratio=4)
SEED = 0
BOARD_INPUTS = 8
CALIBRATION_INPUTS = 256
_IMAGES = 20_000


def recipes(quick: bool) -> tuple[Recipe, TernaryRecipe]:
    """Of the float network and of the ternary one; rates are those of minutes, not of days."""
    common = {"batch_size": 128, "shift_pixels": 1.0, "images_per_epoch": _IMAGES}
    epochs = (1, 1, 1) if quick else (12, 16, 4)
    teacher = Recipe(epochs=epochs[0], learning_rate=2e-3, **common)
    plain = {"weight_decay": 0.0, **common}
    return teacher, TernaryRecipe(
        imitation=Recipe(epochs=epochs[1], learning_rate=2e-3, **plain),
        recovery=Recipe(epochs=epochs[2], learning_rate=2e-4, **plain),
    )


def trained(dataset: Dataset, quick: bool) -> tuple[VisionTransformer, VisionTransformer]:
    """The float network and the ternary one."""
    torch.manual_seed(SEED)
    teacher_recipe, ternary_recipe = recipes(quick)
    teacher = build_vision_transformer(SHAPE, ternary=False)
    train(teacher, dataset, teacher_recipe, SEED, _progress)
    student = build_vision_transformer(SHAPE, ternary=True)
    train_ternary(student, teacher, dataset, ternary_recipe, SEED, _progress)
    return teacher, student


def _progress(epoch: int, epochs: int, loss: float, validation: float, left: float) -> None:
    print(f"epoch {epoch} of {epochs}: loss {loss:.4f}, {validation:.2%}", file=sys.stderr)


def measure(quick: bool) -> dict[str, object]:
    """Train, compile, build and run."""
    device = find_device(DEVICE)
    dataset = load_dataset(str(data_folder() / "mnist_full.npz"), seed=SEED)
    started = time.monotonic()
    teacher, student = trained(dataset, quick)
    seconds = time.monotonic() - started
    images = dataset.test.inputs[:1000] if quick else dataset.test.inputs
    labels = dataset.test.labels[: len(images)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "transformer.onnx")
        export_transformer(student, dataset.train.inputs[:CALIBRATION_INPUTS], path)
        program = compile_graph(import_onnx(path), device)
        integers = (np.rint(images * 255) - 128).astype(np.int8)
        project = Path(folder, "project")
        write_project(program, device.id, project, golden_inputs=integers[:BOARD_INPUTS])
        build = build_project(project, device, find_compiler(device.core))
        counted = count_cycles(project / build.elf, device, entry="model_run")
        if bench_project(project, device, "virtual").mismatches:
            raise AssertionError("the board and the reference differ")
    answers = program.run(integers).argmax(axis=1)
    return {
        "parameters": sum(parameter.numel() for parameter in student.parameters()),
        "macs": program.macs,
        "compiler": build.compiler,
        "flash_bytes": build.flash_bytes,
        "weight_bytes": build.weight_bytes,
        "arena_bytes": build.arena_bytes,
        "cycles": counted.cycles,
        "training_seconds": round(seconds),
        "test_images": len(images),
        "accuracy_float": round(accuracy(teacher, dataset.test), 4),
        "accuracy_ternary": round(accuracy(student, dataset.test), 4),
        "accuracy_integers": round(float((answers == labels).mean()), 4),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one epoch of each training")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    try:
        row = measure(options.quick)
    except AutomcuError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if not options.quick:
        pd.DataFrame([row]).to_csv(Path(__file__).with_suffix(".csv"), index=False)
    if options.json:
        print(json.dumps(row))
        return 0
    for name, value in row.items():
        print(f"{name:20}{value:>14,}" if isinstance(value, int) else f"{name:20}{value:>14}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A model file that the user brings, or that training made: compiled into a project folder."""

import contextlib
from pathlib import Path

import numpy as np

from automcu.boards.project import ESTIMATE
from automcu.compiler import (
    Graph,
    Project,
    compile_graph,
    import_model,
    quantise_inputs,
    write_project,
)
from automcu.compiler.compile import Program
from automcu.compiler.project import describe_tensor
from automcu.compiler.render import DEFAULT_NAME
from automcu.cost.estimation import estimate_program
from automcu.datasets.record import Split
from automcu.errors import ToolError, WrongInputError
from automcu.mcu.profile import Device
from automcu.records import no_such_file

_RANDOM_INPUTS = 16
_SEED = 0


def compile_model_file(model: Path, device: Device) -> Program:
    """Read a quantised model and compile it for a device.

    Raises:
        WrongInputError: the file is missing.
        UnsupportedModelError: it is damaged, or holds what cannot be compiled.
    """
    return compile_graph(import_model_file(model), device)


def import_model_file(model: Path) -> Graph:
    """Read a quantised model.

    Raises:
        WrongInputError: the file is missing.
        UnsupportedModelError: it is damaged, or holds what cannot be compiled.
    """
    if not model.is_file():
        raise WrongInputError(
            f"{no_such_file(model, 'model file')} Give a quantised .onnx or .tflite file."
        )
    return import_model(model)


def write_program(
    program: Program,
    device: Device,
    folder: Path,
    class_names: tuple[str, ...] = (),
    shown: Split | None = None,
    name: str = DEFAULT_NAME,
) -> Project:
    """Write the C project, with golden inputs from a split, or random ones where there is none.

    The estimate is left beside it, for a bench to compare with, where the device has figures.
    """
    with contextlib.suppress(WrongInputError, ToolError):
        estimate_program(program, device).save(folder / ESTIMATE)
    source, labels = program.graph.tensors[program.graph.input], None
    if shown is None:
        generator = np.random.default_rng(_SEED)
        inputs = generator.integers(-128, 128, (_RANDOM_INPUTS, *source.shape), dtype=np.int8)
    else:
        information = describe_tensor(source, program.graph.input_layout)
        inputs, labels = quantise_inputs(shown.inputs, information), shown.labels
    return write_project(program, device.id, folder, class_names, inputs, labels, name)

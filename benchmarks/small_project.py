"""A small network as a built project, for benchmarks and tests that are about boards."""

from pathlib import Path

import numpy as np

from automcu.calibration.networks import chain, with_random_weights
from automcu.compiler import compile_graph, write_project
from automcu.mcu import Device
from automcu.toolchains import build_project

_SEED = 15  # of the first chains the one with the least work


def small_project(folder: Path, device: Device, golden_inputs: int = 4) -> Path:
    """Compile and build a few random layers, with golden inputs; returns `folder`."""
    program = compile_graph(with_random_weights(chain(_SEED), _SEED), device)
    shape = program.graph.tensors[program.graph.input].shape
    inputs = np.random.default_rng(0).integers(-128, 128, (golden_inputs, *shape), dtype=np.int8)
    write_project(program, device.id, folder, (), inputs)
    build_project(folder, device)
    return folder

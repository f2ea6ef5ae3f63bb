"""Cycles of each layer of a linked firmware, for several boards of one core at a time.

Boards of one core run the same code; what differs is how long they wait for their flash. So one
run in the emulator, with an accounting for each board, stands for a run on every virtual board.
No start-up code runs: each layer's function is called, in order, with warm memory and the caches
that the layers before it leave.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from elftools.elf.elffile import ELFFile
from numpy.typing import NDArray
from unicorn import Uc, UcError
from unicorn.arm_const import UC_ARM_REG_LR, UC_ARM_REG_SP

from automcu.boards.timing.accounting import Accounting, new_accounting
from automcu.boards.virtual.machine import load_sections
from automcu.boards.virtual.memory import BoardMemory, new_engine
from automcu.boards.xtensa import run_project
from automcu.calibration.calibrate import read_code
from automcu.compiler import Program
from automcu.compiler.project import MODEL, describe
from automcu.compiler.render import DEFAULT_NAME, model_hash, render_model
from automcu.errors import BoardError
from automcu.mcu.core import core_named
from automcu.mcu.profile import Device
from automcu.toolchains import build_project, find_compiler

_THUMB = 1
_INFERENCES = 2  # the first warms the caches
_SPREAD = 50  # standard deviation of activations, in steps
_ARENA = "model_arena"


def count_layers(
    elf: Path, program: Program, device: Device, boards: Sequence[Device], seed: int
) -> list[list[int]]:
    """Cycles [boards][layers] of a second inference, on `device`'s memories with boards' timing.

    Each layer reads values of its own, around the middle of their range and sometimes at its ends:
    behind layers with random weights they would soon be all alike.

    Raises:
        BoardError: the code faults.
    """
    memory = BoardMemory(device)
    with elf.open("rb") as file:
        content = ELFFile(file)
        load_sections(memory, device, content)
        table = content.get_section_by_name(".symtab")
        addresses = {symbol.name: int(symbol["st_value"]) for symbol in table.iter_symbols()}
    engine = new_engine(device, memory)
    stack = device.region_for("stack")
    engine.reg_write(UC_ARM_REG_SP, stack.address + stack.size)
    accountings = [new_accounting(engine, _timed_as(device, board)) for board in boards]
    for accounting in accountings:
        accounting.attach(engine)
    generator = np.random.default_rng(seed)
    found: list[list[int]] = []
    for _ in range(_INFERENCES):
        found = []
        for index, operator in enumerate(program.graph.operators):
            for name in operator.inputs:
                place = addresses[_ARENA] + program.arena.tensor_offsets[name]
                values = _activations(program.graph.tensors[name].size, generator)
                engine.mem_write(place, values.tobytes())
            function = addresses[f"run_layer_{index}"]
            found.append(_run(engine, function, memory.rom.address, accountings))
    return [list(cycles) for cycles in zip(*found, strict=True)]


def _activations(count: int, generator: np.random.Generator) -> NDArray[np.int8]:
    return generator.normal(0, _SPREAD, count).clip(-128, 127).astype(np.int8)


def _timed_as(device: Device, board: Device) -> Device:
    """A device with the memories of the one and the flash timing of the other."""
    return device.model_copy(update={"flash_timing": board.flash_timing})


def _run(engine: Uc, function: int, end: int, accountings: Sequence[Accounting]) -> list[int]:
    before = [accounting.counts().cycles for accounting in accountings]
    engine.reg_write(UC_ARM_REG_LR, end | _THUMB)
    try:
        engine.emu_start(function | _THUMB, end)
    except UcError as error:
        raise BoardError(f"A layer faulted in the emulator ({error}). Report this as a bug.") from (
            error
        )
    for accounting in accountings:
        accounting.stopped_at(end)
    return [
        accounting.counts().cycles - first
        for accounting, first in zip(accountings, before, strict=True)
    ]


@dataclass(frozen=True)
class LinkedLayers:
    """One linked program: cycles [boards][layers], and the bytes of its functions and layers.

    `functions` are bytes by name of C function, `shared` those of functions that several call,
    `layers` those of each layer's call and parameters; `rest_bytes` is what is left of the flash.
    """

    cycles: tuple[tuple[int, ...], ...]
    functions: Mapping[str, int]
    shared: Mapping[str, int]
    layers: tuple[int, ...]
    rest_bytes: int


def link_and_count(
    program: Program, device: Device, boards: Sequence[Device], seed: int
) -> LinkedLayers:
    """Build a program for `device`, and count its layers with the flash timing of `boards`.

    An ESP32-S3's are counted in QEMU, on whatever values its memory holds.

    Raises:
        DoesNotFitError: it is too large for the device.
        BoardError: the code faults.
    """
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        _write_model(program, device, project)
        build = build_project(project, device, find_compiler(device.core))
        code = read_code(program, build, project / build.elf)
        if core_named(device.core).qemu:
            cycles = [[layer.cycles for layer in run_project(project).layers]] * len(boards)
        else:
            cycles = count_layers(project / build.elf, program, device, boards, seed)
    return LinkedLayers(
        cycles=tuple(tuple(row) for row in cycles),
        functions={one.kernel.function: one.code_bytes for one in code.kernels},
        shared=code.shared,
        layers=tuple(one.code_bytes for one in code.layers),
        rest_bytes=code.runtime.flash_bytes,
    )


def _write_model(program: Program, device: Device, project: Path) -> None:
    """Just what a build needs: layers side by side are no network that a PC could run."""
    files = render_model(program, DEFAULT_NAME)
    (project / MODEL).mkdir()
    for name, text in files.items():
        (project / MODEL / name).write_text(text)
    describe(program, device.id, model_hash(files), ()).save(project / "project.json")

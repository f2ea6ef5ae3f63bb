"""Measuring a compiled project on a board: latency, layers, accuracy, memory, every output byte."""

import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automcu.boards.discovery import VIRTUAL, board_url
from automcu.boards.flashing import boot_loader_answers, flash_image
from automcu.boards.flashing.debug_probe import serial_number_of
from automcu.boards.link import Link, open_link
from automcu.boards.project import (
    BuiltProject,
    Golden,
    LabelledSet,
    class_counts,
    load_golden,
    load_project,
)
from automcu.boards.protocol import PROTOCOL_VERSION
from automcu.boards.records import (
    Identity,
    LatencySpread,
    LayerCycles,
    Measurement,
    Progress,
    keep_silent,
)
from automcu.boards.virtual import is_virtual
from automcu.boards.xtensa import answers_of_whole_image, espressif_qemu, run_project
from automcu.errors import BoardError, WrongInputError
from automcu.mcu.core import core_named
from automcu.mcu.family import family_of
from automcu.mcu.profile import Device
from automcu.toolchains.build import Build

_FEWEST_RUNS = 3
_MOST_RUNS = 100
_BENCHMARK_S = 3.0


def bench_project(
    project: Path,
    device: Device,
    board: str,
    inputs: int | None = None,
    progress: Progress | None = None,
    runs: int | None = None,
    test_set: LabelledSet | None = None,
) -> Measurement:
    """Put the project's firmware on a board, unless it runs there already, and measure it.

    `board` is "virtual", "labgrid:PLACE" or a serial port (any pyserial URL); `inputs` limits how
    many of the golden inputs are streamed, and `runs` is how often it is timed (by default for
    some seconds).
    With a `test_set`, accuracy is that on all of it. Latency on a virtual board of this machine is
    modelled, not measured; where a board on another machine is virtual, only its user knows.

    Raises:
        WrongInputError: the project is not complete, or not for this device.
        BoardError: the board fails, or something else runs on it.
    """
    if board == VIRTUAL and core_named(device.core).qemu:
        return bench_emulated(project, device, inputs, progress, test_set)
    progress = progress or keep_silent
    compiled = load_project(project)
    golden = load_golden(project, inputs)
    if test_set is not None:
        _check_test_set(test_set, golden)
    with board_url(board, device) as url:
        modelled = board == VIRTUAL or is_virtual(url)
        if board == VIRTUAL or not _runs_already(url, device, compiled):
            flash_image(url, device, compiled.image, progress)
        with open_link(url, device.serial.baud_rate) as link:
            identity = link.identify()
            _check_identity(identity, device, compiled, golden)
            link.run(golden.inputs[0].tobytes(), count_cycles=False)
            cycles = _benchmark(link, runs, progress)
            layers = _profile(link, compiled)
            outputs = _stream(link, golden.inputs, "running inputs", progress)
            answered, labels = outputs, golden.labels
            if test_set is not None:
                labels = test_set.labels
                answered = _stream(link, test_set.inputs, "running test set", progress)
            memory = link.memory()
    return Measurement(
        board=board,
        device=device.id,
        identity=identity,
        latency_ms=_spread(cycles, identity.clock_hz),
        latency_source="modelled" if modelled else "measured",
        cycles=int(np.median(cycles)),
        layers=layers,
        accuracy=None if labels is None else float(np.mean(_classes(answered) == labels)),
        inputs=len(golden.inputs),
        mismatches=_mismatches(outputs, golden.outputs),
        stack_bytes=memory.stack_bytes,
        arena_bytes=memory.arena_bytes,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        runs=len(cycles),
        test_inputs=0 if test_set is None else len(test_set.inputs),
        firmware_hash=compiled.image_hash,
        board_serial=serial_number_of(url),
        execution="virtual board" if modelled else "chip",
        **class_counts(answered, labels),
    )


def _runs_already(url: str, device: Device, compiled: BuiltProject) -> bool:
    """Whether the project's firmware answers.

    The boot loader is tried first: it learns the baud rate from the first byte that it sees, and
    would not understand any other.
    """
    if boot_loader_answers(url, device):
        return False
    try:
        with open_link(url, device.serial.baud_rate, timeout_s=0.5) as link:
            identity = link.identify()
    except BoardError:
        return False
    return (identity.model_hash, identity.board, identity.flash_bytes) == (
        compiled.model_hash,
        device.id,
        len(compiled.image),
    )


def _check_identity(
    identity: Identity, device: Device, compiled: BuiltProject, golden: Golden
) -> None:
    expected = {
        "board": device.id,
        "model_hash": compiled.model_hash,
        "layer_count": len(compiled.layer_names),
        "input_bytes": golden.inputs[0].nbytes,
        "output_bytes": golden.outputs[0].nbytes,
    }
    for key, value in expected.items():
        found = getattr(identity, key)
        if found != value:
            raise BoardError(
                f"The firmware on the board has {key.replace('_', ' ')} {found}, the project "
                f"{value}. Compile, build and flash the project for this board again."
            )


def _check_test_set(test_set: LabelledSet, golden: Golden) -> None:
    found, wanted = test_set.inputs.shape[1:], golden.inputs.shape[1:]
    if found != wanted or len(test_set.inputs) != len(test_set.labels) or not len(test_set.labels):
        raise WrongInputError(
            f"The test set has {len(test_set.inputs)} inputs of shape {found} and "
            f"{len(test_set.labels)} labels; the network takes {wanted}. "
            "Give the data that the network was made for."
        )


def _benchmark(link: Link, runs: int | None, progress: Progress) -> list[int]:
    """Cycles of so many runs, or of as many as fit into some seconds."""
    progress("timing", 0, 1)
    started = time.monotonic()
    cycles = link.benchmark(min(_FEWEST_RUNS, runs or _FEWEST_RUNS))
    if runs is None:
        seconds_per_run = max((time.monotonic() - started) / len(cycles), 1e-3)
        runs = min(_MOST_RUNS, int(_BENCHMARK_S / seconds_per_run))
    if runs > len(cycles):
        cycles += link.benchmark(runs - len(cycles))
    progress("timing", 1, 1)
    return cycles


def _profile(link: Link, compiled: BuiltProject) -> tuple[LayerCycles, ...]:
    counts = link.profile()
    if len(counts) != len(compiled.layer_names):
        raise BoardError(
            f"The board profiled {len(counts)} layers, the project has "
            f"{len(compiled.layer_names)}. Build and flash the project again."
        )
    return tuple(
        LayerCycles(name=name, cycles=count, estimated=compiled.estimated_cycles.get(name))
        for name, count in zip(compiled.layer_names, counts, strict=True)
    )


def _stream(
    link: Link, inputs: NDArray[np.int8], stage: str, progress: Progress
) -> NDArray[np.int8]:
    """Run every input; returns the outputs, int8 [n, bytes of an output]."""
    outputs = []
    for index, one in enumerate(inputs):
        progress(stage, index, len(inputs))
        output = link.run(one.tobytes(), count_cycles=False).output
        outputs.append(np.frombuffer(output, np.int8))
    progress(stage, len(inputs), len(inputs))
    return np.stack(outputs)


def _mismatches(outputs: NDArray[np.int8], expected: NDArray[np.int8]) -> int:
    """How many outputs differ in any byte."""
    differs = (outputs != expected.reshape(outputs.shape)).any(axis=1)
    return int(np.count_nonzero(differs))


def _classes(outputs: NDArray[np.int8]) -> NDArray[np.int64]:
    return np.asarray(outputs.argmax(axis=1), np.int64)


def _spread(cycles: list[int], clock_hz: int) -> LatencySpread:
    milliseconds = np.array(cycles) * 1000.0 / clock_hz
    return LatencySpread(
        min=float(milliseconds.min()),
        median=float(np.median(milliseconds)),
        p95=float(np.percentile(milliseconds, 95)),
    )


_TIMEOUT_S = 900.0


def bench_emulated(
    project: Path,
    device: Device,
    inputs: int | None = None,
    progress: Progress | None = None,
    test_set: LabelledSet | None = None,
) -> Measurement:
    """The measurement of a network's code in QEMU, alone: no flashing, no serial line, no clock.

    Where Espressif's QEMU is on the PATH, the golden outputs are those of the whole image that
    boots there, and come over its serial line; cycles are those of the code alone all the same.
    Stack is what the network touches; the firmware around it takes some more. A latency is that at
    the profile's clock.

    Raises:
        WrongInputError: the project is not complete.
        ToolError: there is no QEMU for Xtensa here, or no compiler.
        BoardError: the network did not end.
    """
    progress = progress or keep_silent
    compiled, golden = load_project(project), load_golden(project, inputs)
    build = Build.load(project / "build" / "build.json")
    streamed = (
        golden.inputs if test_set is None else np.concatenate((golden.inputs, test_set.inputs))
    )
    progress("running in QEMU", 0, 1)
    run = run_project(project, streamed, _TIMEOUT_S)
    progress("running in QEMU", 1, 1)
    outputs, rest = np.split(run.outputs, [len(golden.inputs)])
    qemu = espressif_qemu(family_of(device).qemu_machine)
    if qemu:
        progress("booting the whole image", 0, 1)
        outputs = answers_of_whole_image(compiled.image, device, golden.inputs, qemu)
        progress("booting the whole image", 1, 1)
    labels = golden.labels if test_set is None else test_set.labels
    answered = (outputs if test_set is None else rest).reshape(-1, golden.outputs[0].size)
    classes = answered.argmax(axis=1)
    milliseconds = 1e3 * run.cycles / device.clock_hz
    return Measurement(
        board="virtual",
        device=device.id,
        identity=Identity(
            protocol_version=PROTOCOL_VERSION,
            board=device.id,
            model_hash=compiled.model_hash,
            compiler=build.compiler,
            clock_hz=device.clock_hz,
            arena_bytes=build.arena_bytes,
            flash_bytes=build.flash_bytes,
            input_bytes=golden.inputs[0].nbytes,
            output_bytes=golden.outputs[0].nbytes,
            layer_count=len(compiled.layer_names),
        ),
        latency_ms=LatencySpread(min=milliseconds, median=milliseconds, p95=milliseconds),
        latency_source="modelled",
        cycles=run.cycles,
        layers=tuple(
            LayerCycles(
                name=name, cycles=layer.cycles, estimated=compiled.estimated_cycles.get(name)
            )
            for name, layer in zip(compiled.layer_names, run.layers, strict=True)
        ),
        accuracy=None if labels is None else float(np.mean(classes == labels)),
        inputs=len(golden.inputs),
        mismatches=int((outputs != golden.outputs.reshape(outputs.shape)).any(axis=1).sum()),
        stack_bytes=run.stack_bytes,
        arena_bytes=build.arena_bytes,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        runs=1,
        test_inputs=0 if test_set is None else len(test_set.inputs),
        firmware_hash=compiled.image_hash,
        execution="image in QEMU" if qemu else "network in QEMU",
        **class_counts(answered, labels),
    )

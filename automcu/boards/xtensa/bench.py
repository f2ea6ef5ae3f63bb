"""Measuring a compiled project in QEMU, where there is no board and no virtual one either."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from automcu.boards.link.protocol import PROTOCOL_VERSION
from automcu.boards.progress import Progress, keep_silent
from automcu.boards.project import LabelledSet, class_counts, load_golden, load_project
from automcu.boards.records import Identity, LatencySpread, LayerCycles, Measurement
from automcu.boards.xtensa.emulation import run_project
from automcu.boards.xtensa.whole_image import answers_of_whole_image, espressif_qemu
from automcu.mcu.profile import Device
from automcu.toolchains.records import Build

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
    qemu = espressif_qemu()
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

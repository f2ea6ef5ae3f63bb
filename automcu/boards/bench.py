"""Measuring a compiled project on a board: latency, layers, accuracy, memory, every output byte."""

import contextlib
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automcu.boards.flashing import boot_loader_answers, flash_image
from automcu.boards.link import Link, open_link
from automcu.boards.progress import Progress, keep_silent
from automcu.boards.records import Identity, LatencySpread, LayerCycles, Measurement
from automcu.boards.virtual import is_virtual, virtual_board
from automcu.devices.profile import Device
from automcu.errors import BoardError, WrongInputError
from automcu.records import Record

VIRTUAL = "virtual"

_FEWEST_RUNS = 3
_MOST_RUNS = 100
_BENCHMARK_S = 3.0


class _Project(Record):
    """What a bench needs to know of a project folder."""

    model_hash: str
    layer_names: tuple[str, ...]
    image: bytes


class _Golden(Record, arbitrary_types_allowed=True):
    """Inputs with the outputs that the integer reference gives: int8, one row per input."""

    inputs: NDArray[np.int8]
    outputs: NDArray[np.int8]
    labels: NDArray[np.int64] | None


class _Streamed(Record):
    mismatches: int
    accuracy: float | None


def bench_project(
    project: Path,
    device: Device,
    board: str,
    inputs: int | None = None,
    progress: Progress | None = None,
) -> Measurement:
    """Put the project's firmware on a board, unless it runs there already, and measure it.

    `board` is "virtual" or a serial port (any pyserial URL); `inputs` limits how many of the
    golden inputs are streamed. Latency on a virtual board of this machine is modelled, not
    measured; where a board on another machine is virtual, only its user knows.

    Raises:
        WrongInputError: the project is not complete, or not for this device.
        BoardError: the board fails, or something else runs on it.
    """
    progress = progress or keep_silent
    compiled = _load_project(project)
    golden = _load_golden(project, inputs)
    with _board_at(device, board) as url:
        modelled = board == VIRTUAL or is_virtual(url)
        if board == VIRTUAL or not _runs_already(url, device, compiled):
            flash_image(url, device, compiled.image, progress)
        with open_link(url, device.serial.baud_rate) as link:
            identity = link.identify()
            _check_identity(identity, device, compiled, golden)
            link.run(golden.inputs[0].tobytes(), count_cycles=False)
            cycles = _benchmark(link, progress)
            layers = _profile(link, compiled)
            streamed = _stream(link, golden, progress)
            memory = link.memory()
    return Measurement(
        board=board,
        device=device.id,
        identity=identity,
        latency_ms=_spread(cycles, identity.clock_hz),
        latency_source="modelled" if modelled else "measured",
        cycles=int(np.median(cycles)),
        layers=layers,
        accuracy=streamed.accuracy,
        inputs=len(golden.inputs),
        mismatches=streamed.mismatches,
        stack_bytes=memory.stack_bytes,
        arena_bytes=memory.arena_bytes,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


@contextlib.contextmanager
def _board_at(device: Device, board: str) -> Iterator[str]:
    if board != VIRTUAL:
        yield board
        return
    with virtual_board(device) as url:
        yield url


def _load_project(project: Path) -> _Project:
    try:
        description = json.loads((project / "project.json").read_text(encoding="utf-8"))
        return _Project(
            model_hash=description["model_hash"],
            layer_names=tuple(layer["name"] for layer in description["layers"]),
            image=(project / "build" / "firmware.bin").read_bytes(),
        )
    except FileNotFoundError as error:
        raise WrongInputError(
            f"{error.filename} is missing. Compile and build the project first: automcu compile, "
            "then automcu build."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise WrongInputError(
            f"{project / 'project.json'} is damaged ({error!r}). Compile the project again."
        ) from error


def _load_golden(project: Path, limit: int | None) -> _Golden:
    path = project / "golden.npz"
    try:
        with np.load(path) as arrays:
            golden = _Golden(
                inputs=arrays["inputs"][:limit],
                outputs=arrays["outputs"][:limit],
                labels=arrays["labels"][:limit] if "labels" in arrays else None,
            )
    except (OSError, ValueError, KeyError) as error:
        raise WrongInputError(
            f"{path} cannot be read ({error}). Compile the project again."
        ) from error
    if len(golden.inputs) == 0 or len(golden.inputs) != len(golden.outputs):
        raise WrongInputError(
            f"{path} has {len(golden.inputs)} inputs and {len(golden.outputs)} outputs. "
            "Compile the project again, with at least one calibration input."
        )
    return golden


def _runs_already(url: str, device: Device, compiled: _Project) -> bool:
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
    identity: Identity, device: Device, compiled: _Project, golden: _Golden
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


def _benchmark(link: Link, progress: Progress) -> list[int]:
    """Cycles of as many runs as fit into some seconds."""
    progress("timing", 0, 1)
    started = time.monotonic()
    cycles = link.benchmark(_FEWEST_RUNS)
    seconds_per_run = max((time.monotonic() - started) / _FEWEST_RUNS, 1e-3)
    more = min(_MOST_RUNS, int(_BENCHMARK_S / seconds_per_run)) - _FEWEST_RUNS
    if more > 0:
        cycles += link.benchmark(more)
    progress("timing", 1, 1)
    return cycles


def _profile(link: Link, compiled: _Project) -> tuple[LayerCycles, ...]:
    counts = link.profile()
    if len(counts) != len(compiled.layer_names):
        raise BoardError(
            f"The board profiled {len(counts)} layers, the project has "
            f"{len(compiled.layer_names)}. Build and flash the project again."
        )
    return tuple(
        LayerCycles(name=name, cycles=count)
        for name, count in zip(compiled.layer_names, counts, strict=True)
    )


def _stream(link: Link, golden: _Golden, progress: Progress) -> _Streamed:
    """Run every golden input, and compare every byte of every output."""
    outputs = np.empty_like(golden.outputs)
    for index, image in enumerate(golden.inputs):
        progress("running inputs", index, len(golden.inputs))
        output = link.run(image.tobytes(), count_cycles=False).output
        outputs[index] = np.frombuffer(output, np.int8).reshape(golden.outputs[index].shape)
    progress("running inputs", len(golden.inputs), len(golden.inputs))
    differs = (outputs != golden.outputs).reshape(len(outputs), -1).any(axis=1)
    return _Streamed(
        mismatches=int(np.count_nonzero(differs)), accuracy=_accuracy(outputs, golden.labels)
    )


def _accuracy(outputs: NDArray[np.int8], labels: NDArray[np.int64] | None) -> float | None:
    if labels is None:
        return None
    classes = outputs.reshape(len(outputs), -1).argmax(axis=1)
    return float(np.mean(classes == labels))


def _spread(cycles: list[int], clock_hz: int) -> LatencySpread:
    milliseconds = np.array(cycles) * 1000.0 / clock_hz
    return LatencySpread(
        min=float(milliseconds.min()),
        median=float(np.median(milliseconds)),
        p95=float(np.percentile(milliseconds, 95)),
    )

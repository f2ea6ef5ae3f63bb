"""What a board said of itself, what was measured on it, and the table of all measurements."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from automcu.errors import ToolError, WrongInputError
from automcu.records import Record, write_atomically


class Identity(Record):
    """The firmware's answer to `identify`."""

    protocol_version: int
    board: str
    model_hash: str
    compiler: str
    clock_hz: int
    arena_bytes: int
    flash_bytes: int
    input_bytes: int
    output_bytes: int
    layer_count: int


class FoundBoard(Record):
    """A board that is plugged in, or a virtual one that runs.

    `known_by` says how `devices` (profile ids) came about: the firmware's own answer, the boot
    loader's part id, the debug port's IDCODE, esptool's answer, or only the USB id, which names
    the probe or bridge and not the chip. `chip` is what the chip said of itself.
    """

    url: str
    description: str
    usb_id: str | None = None
    serial_number: str | None = None
    virtual: bool = False
    known_by: Literal["firmware", "boot loader", "IDCODE", "esptool", "USB id", "nothing"]
    devices: tuple[str, ...] = ()
    chip: str | None = None
    identity: Identity | None = None
    problem: str | None = None


class LatencySpread(Record):
    """Milliseconds per inference over the timed runs."""

    min: float
    median: float
    p95: float


class LayerCycles(Record):
    """Cycles that one layer took on the board, and those that were estimated before it ran."""

    name: str
    cycles: int
    estimated: int | None = None


Execution = Literal["chip", "virtual board", "network in QEMU", "image in QEMU"]
"""What executed the code: silicon; an emulator of the core, on the whole firmware; QEMU, on the
network's code alone; or Espressif's QEMU, on the whole flash image, of which only bytes count."""


class Measurement(Record):
    """One bench of one firmware on one board.

    `latency_source` is "measured" on silicon and "modelled" on a virtual board, whose cycle
    counter follows a timing model. `mismatches` counts those of the `inputs` golden inputs whose
    output bytes differed from the integer reference; `accuracy` is that on `test_inputs` inputs of
    a test set, or on the golden inputs when there was none; None where those have no labels.
    `firmware_hash` is the beginning of the image's SHA-256, `board_serial` the USB serial number.
    `execution` says what the golden inputs were run by; None in records that are older than that.
    `answer_counts` says how often each class was answered, `label_counts` how many of those inputs
    are of each class, with labels of no class of the network after them; empty without labels.
    """

    board: str
    device: str
    identity: Identity
    latency_ms: LatencySpread
    latency_source: Literal["measured", "modelled"]
    cycles: int
    layers: tuple[LayerCycles, ...]
    accuracy: float | None
    inputs: int
    mismatches: int
    stack_bytes: int
    arena_bytes: int
    date: str
    runs: int = 0
    test_inputs: int = 0
    firmware_hash: str = ""
    board_serial: str | None = None
    execution: Execution | None = None
    answer_counts: tuple[int, ...] = ()
    label_counts: tuple[int, ...] = ()

    @property
    def executed_by(self) -> Execution:
        """What executed the code, also where an older record does not say so."""
        if self.execution:
            return self.execution
        if self.latency_source == "measured":
            return "chip"
        return "network in QEMU" if self.device.startswith("esp32") else "virtual board"


# Called with what is being done ("erasing"), how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]


def keep_silent(stage: str, done: int, total: int) -> None:
    """The progress callback for those who do not want one."""


if TYPE_CHECKING:
    import pandas as pd

Result = TypeVar("Result")

# What must be the same for two runs to be one story.
_STORY = ["project", "device", "board", "latency_source"]
_SUFFIXES = (".csv", ".parquet")


def remember(path: Path, project: str, measurement: Measurement) -> None:
    """Append a measurement to the table in `path`, which need not exist yet.

    Raises:
        WrongInputError: the file is no such table, its name ends in neither .csv nor .parquet, or
            it cannot be written.
        ToolError: Parquet needs pyarrow, which is not installed.
    """
    import pandas as pd

    _check_suffix(path)
    rows = [pd.DataFrame([_row(project, measurement)])]
    if path.exists():
        rows.insert(0, history(path))
    table = pd.concat([row.astype(object) for row in rows], ignore_index=True).infer_objects()
    content = io.BytesIO()
    if path.suffix == ".csv":
        table.to_csv(content, index=False)
    else:
        _with_parquet(lambda: table.to_parquet(content, index=False))
    write_atomically(path, content.getvalue())


def history(path: Path) -> "pd.DataFrame":
    """Read a table of measurements.

    Raises:
        WrongInputError: there is none, or it is damaged.
        ToolError: Parquet needs pyarrow, which is not installed.
    """
    import pandas as pd

    _check_suffix(path)
    text = dict.fromkeys(("model_hash", "firmware_hash", "board_serial"), "string")
    try:
        if path.suffix == ".csv":
            table = pd.read_csv(path, dtype=text)
        else:
            table = _with_parquet(lambda: pd.read_parquet(path))
    except FileNotFoundError as error:
        raise WrongInputError(
            f"There is no table {path} yet. Measure first: automcu bench DIR --table {path}"
        ) from error
    except (OSError, ValueError) as error:
        raise WrongInputError(
            f"{path} is not a table of measurements ({error}). Name another --table."
        ) from error
    missing = {*_STORY, "date", "latency_median_ms", "accuracy"} - set(table.columns)
    if missing:
        raise WrongInputError(
            f"{path} is not a table of measurements: it has no {min(missing)}. "
            "Name another --table."
        )
    return table.assign(accuracy=pd.to_numeric(table["accuracy"]))


def compared(table: "pd.DataFrame") -> "pd.DataFrame":
    """The runs by date, each with the change in percent of median latency since the last one of
    the same project on the same kind of board, and the change in accuracy in points.
    """
    ordered = table.sort_values("date", kind="stable").reset_index(drop=True)
    groups = ordered.groupby(_STORY, dropna=False, sort=False)
    before = groups["latency_median_ms"].shift()
    return ordered.assign(
        latency_change_percent=100 * (ordered["latency_median_ms"] / before - 1),
        accuracy_change_points=100 * (ordered["accuracy"] - groups["accuracy"].shift()),
    )


def _row(project: str, measurement: Measurement) -> dict[str, object]:
    identity, spread = measurement.identity, measurement.latency_ms
    estimates = [layer.estimated for layer in measurement.layers]
    known = [cycles for cycles in estimates if cycles is not None]
    return {
        "date": measurement.date,
        "project": project,
        "device": measurement.device,
        "board": measurement.board,
        "board_serial": measurement.board_serial,
        "latency_source": measurement.latency_source,
        "model_hash": identity.model_hash,
        "firmware_hash": measurement.firmware_hash,
        "compiler": identity.compiler,
        "clock_hz": identity.clock_hz,
        "runs": measurement.runs,
        "latency_min_ms": spread.min,
        "latency_median_ms": spread.median,
        "latency_p95_ms": spread.p95,
        "cycles": measurement.cycles,
        "estimated_cycles": sum(known) if known and len(known) == len(estimates) else None,
        "inputs": measurement.inputs,
        "mismatches": measurement.mismatches,
        "test_inputs": measurement.test_inputs,
        "accuracy": measurement.accuracy,
        "stack_bytes": measurement.stack_bytes,
        "arena_bytes": measurement.arena_bytes,
        "flash_bytes": identity.flash_bytes,
    }


def _with_parquet(work: Callable[[], Result]) -> Result:
    """Do what needs pyarrow."""
    try:
        return work()
    except ImportError as error:
        raise ToolError(
            "Parquet tables need pyarrow, which is not installed. pip install 'automcu[parquet]', "
            "or name a .csv file."
        ) from error


def _check_suffix(path: Path) -> None:
    if path.suffix not in _SUFFIXES:
        raise WrongInputError(
            f"{path} is neither CSV nor Parquet by its name. Let it end in .csv or .parquet."
        )

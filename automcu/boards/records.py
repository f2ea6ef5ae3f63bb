"""What a board said of itself and what was measured on it."""

from typing import Literal

from automcu.records import Record


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

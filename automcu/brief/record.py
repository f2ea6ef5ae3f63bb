"""What the user wants, as a frozen record."""

from typing import Literal

from automcu.records import Record


class Brief(Record):
    """A task, a board and limits. Limits that the user did not give are None.

    Latency is in milliseconds, memory in bytes, accuracy a fraction of 1.
    """

    text: str
    device: str
    dataset: str
    family: Literal["cnn", "vit", "auto"] = "cnn"
    max_latency_ms: float | None = None
    max_ram_bytes: int | None = None
    max_flash_bytes: int | None = None
    min_accuracy: float | None = None

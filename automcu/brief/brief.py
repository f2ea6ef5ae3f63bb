"""What the user wants, as a frozen record, and the limits in it."""

from typing import Any

from pydantic import Field

from automcu.records import Record


class Limits(Record):
    """What one inference and its firmware may need at most; None where there is no limit.

    Milliseconds, millijoule and bytes. A device's own memory is a limit beside these.
    """

    latency_ms: float | None = None
    energy_mj: float | None = None
    ram_bytes: int | None = None
    flash_bytes: int | None = None

    def milliseconds_allowed(self, watt: float) -> float | None:
        """Return the longest inference that keeps latency and energy, at a power of `watt`.

        Modelled energy is latency times power, so that each limit of it is one of latency.
        """
        by_energy = None if self.energy_mj is None else self.energy_mj / watt
        return min((one for one in (self.latency_ms, by_energy) if one is not None), default=None)


NO_LIMITS = Limits()


class Brief(Record):
    """A task, a board and limits. Limits that the user did not give are None.

    Latency is in milliseconds, energy in millijoule per inference, memory in bytes, accuracy a
    fraction of 1. `unused` are word groups of the text that nothing was read from, None where
    nobody looked for them; `notes` says of an entry how it was reckoned.
    """

    text: str
    device: str
    dataset: str
    family: str = "cnn"
    max_latency_ms: float | None = None
    max_energy_mj: float | None = None
    max_ram_bytes: int | None = None
    max_flash_bytes: int | None = None
    min_accuracy: float | None = None
    unused: tuple[str, ...] | None = None
    notes: dict[str, str] = Field(default_factory=dict)

    @property
    def is_read_whole(self) -> bool:
        """Whether each word of the text is known to have been read, or to say nothing."""
        return not self.text or self.unused == ()

    def asks_the_same(self, other: "Brief") -> bool:
        """Say whether another brief has the same text, board, data, limits and goal."""
        how_it_was_read: dict[str, Any] = {"unused": None, "notes": {}}
        one, two = (brief.model_copy(update=how_it_was_read) for brief in (self, other))
        return one == two

    @property
    def limits(self) -> Limits:
        """The limits on what an inference and its firmware need."""
        return Limits(
            latency_ms=self.max_latency_ms,
            energy_mj=self.max_energy_mj,
            ram_bytes=self.max_ram_bytes,
            flash_bytes=self.max_flash_bytes,
        )

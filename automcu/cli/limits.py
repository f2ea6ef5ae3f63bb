"""Limits given as flags, read as a brief would read them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits beside the device's own; None where there is none. Milliseconds and bytes."""

    max_latency_ms: float | None
    max_ram_bytes: int | None
    max_flash_bytes: int | None

    def arguments(self) -> dict[str, float | int | None]:
        """Return the limits by the names that `automcu.cost` gives them."""
        return {
            "max_latency_ms": self.max_latency_ms,
            "max_ram_bytes": self.max_ram_bytes,
            "max_flash_bytes": self.max_flash_bytes,
        }


def read_limits(
    max_latency_ms: float | None, max_ram: str | None, max_flash: str | None
) -> Limits:
    """Read the flags.

    Raises:
        WrongInputError: a value is no amount.
    """
    from automcu.brief import draft_from_settings

    draft = draft_from_settings(
        max_latency_ms=max_latency_ms, max_ram=max_ram, max_flash=max_flash
    )
    return Limits(draft.max_latency_ms, draft.max_ram_bytes, draft.max_flash_bytes)

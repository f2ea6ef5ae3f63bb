"""Limits given as flags, read as a brief would read them."""

from typing import TypedDict


class Limits(TypedDict):
    """Limits beside the device's own; None where there is none. Milliseconds and bytes."""

    max_latency_ms: float | None
    max_ram_bytes: int | None
    max_flash_bytes: int | None


def read_limits(max_latency_ms: float | None, max_ram: str | None, max_flash: str | None) -> Limits:
    """Read the flags.

    Raises:
        WrongInputError: a value is no amount.
    """
    from automcu.brief import draft_from_settings

    draft = draft_from_settings(max_latency_ms=max_latency_ms, max_ram=max_ram, max_flash=max_flash)
    return Limits(
        max_latency_ms=draft.max_latency_ms,
        max_ram_bytes=draft.max_ram_bytes,
        max_flash_bytes=draft.max_flash_bytes,
    )

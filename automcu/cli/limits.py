"""Limits given as flags, read as a brief would read them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from automcu.brief import Limits


def read_limits(
    max_latency_ms: float | None,
    max_energy: str | None,
    max_ram: str | None,
    max_flash: str | None,
) -> "Limits":
    """Read the flags.

    Raises:
        WrongInputError: a value is no amount.
    """
    from automcu.brief import Limits, draft_from_settings

    draft = draft_from_settings(
        max_latency_ms=max_latency_ms, max_energy=max_energy, max_ram=max_ram, max_flash=max_flash
    )
    return Limits(
        latency_ms=draft.max_latency_ms,
        energy_mj=draft.max_energy_mj,
        ram_bytes=draft.max_ram_bytes,
        flash_bytes=draft.max_flash_bytes,
    )

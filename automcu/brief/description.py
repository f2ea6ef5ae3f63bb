"""What was understood, in rows for people."""

from automcu.brief.brief import Brief
from automcu.brief.draft import Draft

_NOT_SAID = "–"


def describe(brief: Draft | Brief) -> tuple[tuple[str, str], ...]:
    """Return (what, value) rows of a brief; a dash stands where nothing was said."""
    return (
        ("board", _board(brief)),
        ("data", brief.dataset or _NOT_SAID),
        ("family", brief.family or _NOT_SAID),
        (
            "latency",
            f"at most {brief.max_latency_ms:g} ms" if brief.max_latency_ms else _NOT_SAID,
        ),
        (
            "energy",
            f"at most {brief.max_energy_mj:.4g} mJ per inference (modelled)"
            if brief.max_energy_mj
            else _NOT_SAID,
        ),
        ("RAM", _at_most(brief.max_ram_bytes)),
        ("flash", _at_most(brief.max_flash_bytes)),
        ("accuracy", f"at least {brief.min_accuracy:.4g}" if brief.min_accuracy else _NOT_SAID),
    )


def _board(brief: Draft | Brief) -> str:
    if isinstance(brief, Brief):
        return brief.device
    return " or ".join(brief.boards) or _NOT_SAID


def _at_most(size: int | None) -> str:
    return f"at most {size:,} bytes ({size / 1024:g} KB)" if size else _NOT_SAID

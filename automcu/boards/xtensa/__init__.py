"""Xtensa code without a board: networks run in Debian's QEMU, their cycles counted by blocks."""

from automcu.boards.xtensa.emulation import XtensaRun, can_emulate, differing_bytes, run_project

__all__ = ["XtensaRun", "can_emulate", "differing_bytes", "run_project"]

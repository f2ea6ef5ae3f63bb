"""Boards, real and virtual: flashing them, talking to their firmware, and measuring on them."""

from automcu.boards.flashing import flash_image
from automcu.boards.link import Link, MemoryUse, RunResult, open_link
from automcu.boards.progress import Progress
from automcu.boards.virtual import virtual_board

__all__ = [
    "Link",
    "MemoryUse",
    "Progress",
    "RunResult",
    "flash_image",
    "open_link",
    "virtual_board",
]

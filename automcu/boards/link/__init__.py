"""The serial link to the firmware."""

from automcu.boards.link.client import Link, open_link
from automcu.boards.link.protocol import MemoryUse, RunResult

__all__ = ["Link", "MemoryUse", "RunResult", "open_link"]

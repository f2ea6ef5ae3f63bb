"""Boards, real and virtual: flashing them, talking to their firmware, and measuring on them."""

from automcu.boards.bench import bench_project
from automcu.boards.count import CycleCount, count_cycles
from automcu.boards.discovery import find_boards
from automcu.boards.flashing import FlashReport, choose_method, flash_image, flashing_steps
from automcu.boards.history import compared, history, remember
from automcu.boards.link import Link, MemoryUse, RunResult, open_link
from automcu.boards.progress import Progress
from automcu.boards.project import LabelledSet
from automcu.boards.records import FoundBoard
from automcu.boards.virtual import RunningBoard, running_boards, virtual_board

__all__ = [
    "CycleCount",
    "FlashReport",
    "FoundBoard",
    "LabelledSet",
    "Link",
    "MemoryUse",
    "Progress",
    "RunResult",
    "RunningBoard",
    "bench_project",
    "choose_method",
    "compared",
    "count_cycles",
    "find_boards",
    "flash_image",
    "flashing_steps",
    "history",
    "open_link",
    "remember",
    "running_boards",
    "virtual_board",
]

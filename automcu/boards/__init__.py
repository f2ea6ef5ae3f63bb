"""Boards, real and virtual: flashing them, talking to their firmware, and measuring on them."""

from automcu.boards.bench import bench_project
from automcu.boards.count import CycleCount, count_cycles
from automcu.boards.flashing import flash_image
from automcu.boards.link import Link, MemoryUse, RunResult, open_link
from automcu.boards.progress import Progress
from automcu.boards.virtual import RunningBoard, running_boards, virtual_board

__all__ = [
    "CycleCount",
    "Link",
    "MemoryUse",
    "Progress",
    "RunResult",
    "RunningBoard",
    "bench_project",
    "count_cycles",
    "flash_image",
    "open_link",
    "running_boards",
    "virtual_board",
]

"""Virtual boards: the firmware's machine code on a processor in software, served over TCP."""

from automcu.boards.virtual.process import virtual_board
from automcu.boards.virtual.registry import RunningBoard, is_virtual, running_boards

__all__ = ["RunningBoard", "is_virtual", "running_boards", "virtual_board"]

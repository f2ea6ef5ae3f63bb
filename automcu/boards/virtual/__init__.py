"""Virtual boards: the firmware's machine code on a processor in software, served over TCP."""

from automcu.boards.virtual.process import RunningBoard, is_virtual, running_boards, virtual_board

__all__ = ["RunningBoard", "is_virtual", "running_boards", "virtual_board"]

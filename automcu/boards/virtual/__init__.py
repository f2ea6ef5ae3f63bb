"""Virtual boards: the firmware's machine code on a processor in software, served over TCP."""

from automcu.boards.virtual.process import virtual_board

__all__ = ["virtual_board"]

"""What `--board` may name: the virtual board, a place of a board farm, or a serial port."""

import contextlib
from collections.abc import Iterator

from automcu.boards.labgrid import PREFIX, acquired_place
from automcu.boards.virtual import virtual_board
from automcu.mcu.profile import Device

VIRTUAL = "virtual"


@contextlib.contextmanager
def board_url(board: str, device: Device) -> Iterator[str]:
    """Yield the pyserial URL of a board: "virtual", "labgrid:PLACE", or a port itself.

    A virtual board lives as long as the block, and a place is held as long.

    Raises:
        BoardError: it cannot be had.
        ToolError: the program that it takes is missing.
    """
    if board == VIRTUAL:
        with virtual_board(device) as url:
            yield url
    elif board.startswith(PREFIX):
        with acquired_place(board.removeprefix(PREFIX)) as url:
            yield url
    else:
        yield board

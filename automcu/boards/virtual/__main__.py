"""`python -m automcu.boards.virtual --device ID [--port N]`: a board on a TCP port."""

import argparse
import os
import signal
import sys
import threading
from typing import get_args

from automcu.boards.timing.accounting import native_library
from automcu.boards.virtual.board import run_board
from automcu.boards.virtual.process import RunningBoard, register
from automcu.boards.virtual.serial_line import SerialLine
from automcu.boards.virtual.wire import WireProtocol
from automcu.errors import AutomcuError
from automcu.mcu import find_device
from automcu.mcu.profile import Device

FROM_STANDARD_INPUT = "-"


def main() -> int:
    """Serve until killed. Return an exit code when the board cannot start."""
    # The engine runs in C for long stretches, where Python would not look at its own handlers.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    try:
        arguments = _parse()
        device = _device(arguments.device)
        native_library()  # compiled now rather than when the first host waits for a measurement
        line = SerialLine(arguments.port, arguments.protocol)
        register(RunningBoard(url=line.url, device=device.id))
        print(line.url, flush=True)
        run_board(device, line)
    except AutomcuError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"The board cannot listen ({error}). Choose another --port.", file=sys.stderr)
        return 3
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m automcu.boards.virtual", description=__doc__)
    parser.add_argument(
        "--device",
        required=True,
        help="a board's name, or '-' to read a Device record as one line of JSON from standard "
        "input; the board then ends when standard input is closed",
    )
    parser.add_argument("--port", type=int, default=0, help="TCP port (default: any free one)")
    parser.add_argument("--protocol", choices=get_args(WireProtocol), default="socket")
    return parser.parse_args()


def _device(name: str) -> Device:
    if name != FROM_STANDARD_INPUT:
        return find_device(name)
    device = Device.model_validate_json(sys.stdin.readline())
    threading.Thread(target=_end_with_standard_input, daemon=True).start()
    return device


def _end_with_standard_input() -> None:
    """The parent holds the other end: when it dies in whatever way, this ends the board too."""
    while sys.stdin.read(4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())

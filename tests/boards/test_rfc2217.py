"""A board on another machine: pyserial's own RFC 2217 server in front of a virtual board."""

import contextlib
import logging
import socket
import threading
from collections.abc import Iterator

import pytest
import serial
from serial.rfc2217 import PortManager

from automcu.boards.flashing import flash_image
from automcu.boards.port import open_port
from automcu.mcu import Device
from automcu.toolchains.build import flash_image as image_of_elf
from tests.boards.conftest import Builder
from tests.boards.programs import ECHO


class _Connection:
    """What PortManager writes its own answers to."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self._lock = threading.Lock()

    def write(self, content: bytes) -> None:
        with self._lock:
            self._client.sendall(content)


def _serve(listener: socket.socket, board_url: str) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            board = serial.serial_for_url(board_url, timeout=0.05)
            connection = _Connection(client)
            manager = PortManager(board, connection, logger=logging.getLogger("rfc2217"))
            done = threading.Event()
            back = threading.Thread(target=_carry_back, args=(board, connection, manager, done))
            back.start()
            with client, contextlib.suppress(OSError):
                while received := client.recv(1024):
                    board.write(b"".join(manager.filter(received)))
            done.set()
            back.join()
            board.close()


def _carry_back(
    board: serial.Serial, connection: _Connection, manager: PortManager, done: threading.Event
) -> None:
    with contextlib.suppress(OSError):
        while not done.is_set():
            received = board.read(1)
            if received:
                connection.write(b"".join(manager.escape(received)))


@pytest.fixture
def remote_url(board_url: str) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=_serve, args=(listener, board_url))
        server.start()
        yield f"rfc2217://127.0.0.1:{listener.getsockname()[1]}"
        # Closing alone does not wake a thread in accept(), and one that is still there when
        # Python ends brings the whole process down.
        listener.shutdown(socket.SHUT_RDWR)
        server.join()


def test_a_board_behind_rfc2217_is_flashed_and_answers(
    remote_url: str, device: Device, build: Builder
) -> None:
    flash_image(remote_url, device, image_of_elf(build.elf(ECHO)))
    with open_port(remote_url, 115_200) as port:
        port.write(b"AB")
        assert port.read(2, 10.0) == b"BC"

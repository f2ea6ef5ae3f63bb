"""A board that answers as a test wants it to, on a TCP port."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

from automcu.boards.protocol import FrameReader, encode_frame

# Takes a request's payload, returns the raw bytes to send; None hangs up.
Behaviour = Callable[[bytes], bytes | None]


@contextlib.contextmanager
def fake_board(behave: Behaviour) -> Iterator[str]:
    """Serve one host, request by request; yield the URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_serve, args=(listener, behave), daemon=True).start()
    try:
        yield f"socket://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


def _serve(listener: socket.socket, behave: Behaviour) -> None:
    with contextlib.suppress(OSError):
        host, _ = listener.accept()
        reader = FrameReader()
        with host:
            while received := host.recv(4096):
                for payload in reader.feed(received):
                    answer = behave(payload)
                    if answer is None:
                        return
                    host.sendall(answer)


def answer_to(request: bytes, data: bytes, status: int = 0) -> bytes:
    """An intact answer to a request."""
    return encode_frame(bytes((request[0] | 0x80, request[1], status)) + data)


def identity(input_bytes: int = 4, output_bytes: int = 4, version: int = 1) -> bytes:
    """The data of an answer to `identify`."""
    numbers = struct.pack("<5IH", 100_000_000, 64, 1000, input_bytes, output_bytes, 2)
    return bytes((version,)) + bytes(range(8)) + numbers + b"\x04fake" + b"\x05gcc 1"


class Adder:
    """Firmware whose network adds one to each input byte."""

    def __init__(self, size: int = 4) -> None:
        self.size = size
        self.requests: list[bytes] = []
        self.input = bytearray(size)
        self.runs = 0

    def __call__(self, request: bytes) -> bytes | None:
        self.requests.append(request)
        return answer_to(request, self.data(request))

    def data(self, request: bytes) -> bytes:
        """The data that the firmware would answer with."""
        command, body = request[0], request[2:]
        if command == 0x01:
            return identity(self.size, self.size)
        if command == 0x02:
            offset = struct.unpack_from("<I", body)[0]
            self.input[offset : offset + len(body) - 4] = body[4:]
        if command == 0x03:
            self.runs += 1
            return struct.pack("<I", 1000 if body[0] else 0)
        if command == 0x04:
            offset, length = struct.unpack("<IH", body)
            return bytes((b + 1) % 256 for b in self.input[offset : offset + length])
        if command == 0x05:
            first = struct.unpack("<H", body)[0]
            counts = list(range(300))[first : first + 250]
            return struct.pack(f"<H{len(counts)}I", 300, *counts)
        if command == 0x06:
            runs = struct.unpack("<H", body)[0]
            return struct.pack(f"<{runs}I", *[500] * runs)
        if command == 0x07:
            return struct.pack("<3I", 100, 2048, 60)
        return b""

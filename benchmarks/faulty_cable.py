"""A cable between a host and a board that damages what it carries, on a TCP port.

Unlike a connection to the board itself, it stays plugged in at the board's end when the host
hangs up, as a USB adapter does: the board keeps what it has of a broken command.
"""

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field


class PulledError(Exception):
    """The cable was pulled out at the host's end."""


# Takes a byte's place in its direction since the cable was made, and the byte; returns what
# arrives instead, possibly nothing or more. May raise PulledError.
Damage = Callable[[int, int], bytes]


def intact(place: int, byte: int) -> bytes:
    """No damage."""
    return bytes((byte,))


def pulled_after(count: int) -> Damage:
    """The host's plug comes off at the byte after `count`."""

    def damage(place: int, byte: int) -> bytes:
        if place == count:
            raise PulledError
        return bytes((byte,))

    return damage


def flipped_at(places: Sequence[int], mask: int = 0x10) -> Damage:
    """Single bits arrive wrong."""
    return lambda place, byte: bytes((byte ^ mask if place in places else byte,))


def lost_at(places: Sequence[int]) -> Damage:
    """Single bytes do not arrive."""
    return lambda place, byte: b"" if place in places else bytes((byte,))


def inserted_at(places: Sequence[int], noise: bytes) -> Damage:
    """Noise arrives between two bytes."""
    return lambda place, byte: noise + bytes((byte,)) if place in places else bytes((byte,))


def replaced_from(first: int, old: int, new: int, times: int = 1_000_000) -> Damage:
    """From some place on, one byte value is heard as another, so many times."""
    left = [times]

    def damage(place: int, byte: int) -> bytes:
        if place >= first and byte == old and left[0] > 0:
            left[0] -= 1
            return bytes((new,))
        return bytes((byte,))

    return damage


@dataclass
class Cable:
    """What happens on the way to the board, and on the way back. `url` is the host's end."""

    url: str
    to_board: Damage = intact
    to_host: Damage = intact
    carried: dict[str, int] = field(default_factory=lambda: {"to board": 0, "to host": 0})

    def reset_counts(self) -> None:
        """Let places count from zero again."""
        self.carried.update({"to board": 0, "to host": 0})


@contextlib.contextmanager
def faulty_cable(board_url: str) -> Iterator[Cable]:
    """A cable to a board at socket://HOST:PORT, without damage until it is given some."""
    host_name, _, port = board_url.removeprefix("socket://").partition(":")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        cable = Cable(url=f"socket://127.0.0.1:{listener.getsockname()[1]}")
        over = threading.Event()
        carrier = threading.Thread(
            target=_carry, args=(cable, listener, (host_name, int(port)), over)
        )
        carrier.start()
        try:
            yield cable
        finally:
            over.set()
            carrier.join()


def _carry(
    cable: Cable, listener: socket.socket, address: tuple[str, int], over: threading.Event
) -> None:
    board = socket.create_connection(address)
    while not over.is_set():
        ready, _, _ = select.select([listener], [], [], 0.05)
        if not ready:
            continue
        host, _ = listener.accept()
        with host, contextlib.suppress(PulledError, OSError):
            host.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not _serve(cable, host, board, over):
                board.close()  # it hung up, as a virtual board does when its program faults
                board = socket.create_connection(address)
    board.close()


def _serve(cable: Cable, host: socket.socket, board: socket.socket, over: threading.Event) -> bool:
    """Carry until the host hangs up; False when it was the board."""
    while not over.is_set():
        ready, _, _ = select.select([host, board], [], [], 0.05)
        if host in ready:
            received = host.recv(4096)
            if not received:
                return True
            board.sendall(_damaged(received, cable.to_board, cable.carried, "to board"))
        if board in ready:
            received = board.recv(4096)
            if not received:
                return False
            host.sendall(_damaged(received, cable.to_host, cable.carried, "to host"))
    return True


def _damaged(content: bytes, damage: Damage, carried: dict[str, int], way: str) -> bytes:
    arrived = bytearray()
    for byte in content:
        place = carried[way]
        carried[way] += 1
        arrived += damage(place, byte)
    return bytes(arrived)

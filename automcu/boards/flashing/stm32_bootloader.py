"""Host side of the boot loader in every STM32's ROM, over its USART (ST, AN3155)."""

import time
from collections.abc import Sequence

from automcu.boards.port import Port
from automcu.errors import BoardError

SYNCHRONISE = 0x7F
ACKNOWLEDGE = 0x79
REFUSE = 0x1F

GET = 0x00
GET_ID = 0x02
READ_MEMORY = 0x11
GO = 0x21
WRITE_MEMORY = 0x31
EXTENDED_ERASE = 0x44

MAX_BLOCK_BYTES = 256

_ANSWER_TIMEOUT_S = 2.0
# Most commands end within 257 bytes. One is longer: an erase whose number of sectors was still to
# come has taken two attempts to synchronise for it, 0x7F7F, and waits for as many 16-bit numbers.
_FILLER_BYTES = (64,) * 8 + (4096,) * 17
_FILLER_ANSWER_S = 0.1
_DRAIN_BYTES = 64
_SYNCHRONISE_TIMEOUT_S = 0.5
# STM32F405 datasheet (DS8626), table "Flash memory programming": a 128 KiB sector takes up to 4 s
# when it is erased byte-wise. Twice that, and the same again for the many small ones of others.
_ERASE_TIMEOUT_S = 20.0


class RefusedError(BoardError):
    """The boot loader answered a command with its NACK."""


class BootLoader:
    """One conversation with an STM32 boot loader. Every method raises BoardError on failure."""

    def __init__(self, port: Port) -> None:
        self._port = port

    def synchronise(self, attempts: int = 2) -> bool:
        """Wake the boot loader; return whether it answered.

        It measures the baud rate from the first 0x7F. If it was awake already, it takes 0x7F for
        half a command and refuses it when a second one comes.
        """
        self._port.discard_input()
        for _ in range(attempts):
            self._port.write(bytes((SYNCHRONISE,)))
            answer = self._port.read(1, _SYNCHRONISE_TIMEOUT_S)
            if answer and answer[0] in (ACKNOWLEDGE, REFUSE):
                return True
        return False

    def finish_command(self) -> bool:
        """End a command that an earlier host broke off in the middle; return whether it answered.

        The boot loader still waits for the rest, with no time-out of its own: it gets bytes until
        it refuses their checksum. 0xFF is never the right checksum after nothing but 0xFF, and
        where it is taken for content, it leaves flash as it is.
        """
        for size in _FILLER_BYTES:
            self._port.write(b"\xff" * size)
            if self._port.read(1, _FILLER_ANSWER_S + size * self._port.seconds_per_byte):
                while self._port.read(_DRAIN_BYTES, _FILLER_ANSWER_S):
                    pass  # answers to the rest of them
                return self.synchronise()
        return False

    def commands(self) -> frozenset[int]:
        """The command codes that this version of the boot loader knows."""
        self._command(GET, "get")
        answer = self._receive(self._receive(1)[0] + 1)
        self._expect_acknowledge("get")
        return frozenset(answer[1:])

    def device_id(self) -> int:
        """The part's product id, as AN2606 lists them (0x413 is an STM32F405/407)."""
        self._command(GET_ID, "get id")
        answer = self._receive(self._receive(1)[0] + 1)
        self._expect_acknowledge("get id")
        return int.from_bytes(answer, "big")

    def erase(self, sectors: Sequence[int]) -> None:
        """Erase flash sectors (pages on some families) by their numbers."""
        self._command(EXTENDED_ERASE, "erase")
        numbers = [len(sectors) - 1, *sectors]
        self._send_checked(b"".join(number.to_bytes(2, "big") for number in numbers))
        self._expect_acknowledge("erase", _ERASE_TIMEOUT_S)

    def write(self, address: int, block: bytes) -> None:
        """Write 1 to 256 bytes to RAM or erased flash."""
        self._command(WRITE_MEMORY, "write")
        self._send_address(address, "write")
        self._send_checked(bytes((len(block) - 1,)) + block)
        self._expect_acknowledge("write")

    def read(self, address: int, count: int) -> bytes:
        """Read 1 to 256 bytes."""
        self._command(READ_MEMORY, "read")
        self._send_address(address, "read")
        self._port.write(bytes((count - 1, (count - 1) ^ 0xFF)))
        self._expect_acknowledge("read")
        return self._receive(count)

    def go(self, address: int) -> None:
        """Start the program whose vector table is at `address`."""
        self._command(GO, "go")
        self._send_address(address, "go")

    def _command(self, code: int, name: str) -> None:
        self._port.write(bytes((code, code ^ 0xFF)))
        self._expect_acknowledge(name)

    def _send_address(self, address: int, name: str) -> None:
        self._send_checked(address.to_bytes(4, "big"))
        self._expect_acknowledge(name)

    def _send_checked(self, content: bytes) -> None:
        checksum = 0
        for byte in content:
            checksum ^= byte
        self._port.write(content + bytes((checksum,)))

    def _receive(self, count: int, timeout_s: float = _ANSWER_TIMEOUT_S) -> bytes:
        received = self._port.read(count, timeout_s)
        if len(received) < count:
            raise BoardError(
                f"The boot loader at {self._port.url} stopped answering. "
                "Check the cable, reset the board into its boot loader and flash it again."
            )
        return received

    def _expect_acknowledge(self, name: str, timeout_s: float = _ANSWER_TIMEOUT_S) -> None:
        answer = self._receive(1, timeout_s)[0]
        if answer == ACKNOWLEDGE:
            return
        if answer == REFUSE:
            raise RefusedError(
                f"The boot loader at {self._port.url} refused to {name}. If the flash is "
                "protected, unlock it with STM32CubeProgrammer; else reset the board and try again."
            )
        raise BoardError(
            f"The boot loader at {self._port.url} answered nonsense ({answer:#04x}) to {name}. "
            "Check the cable, reset the board into its boot loader and flash it again."
        )


def wait_for_boot_loader(boot_loader: BootLoader, timeout_s: float) -> bool:
    """Synchronise again and again, for a part that is just starting."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if boot_loader.synchronise(attempts=1):
            return True
    return False

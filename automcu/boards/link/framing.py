"""Frames on the serial line: COBS(payload ‖ CRC-32(payload), little endian), then one zero byte.

COBS (Consistent Overhead Byte Stuffing; Cheshire and Baker, IEEE/ACM Transactions on
Networking 7(2), 1999) removes every zero byte from a packet, so that a zero always and only
means "a frame ends here", and a receiver finds its way back after any damage.
"""

import zlib

FRAME_END = b"\x00"
MAX_PAYLOAD_BYTES = 1040
CHECKSUM_BYTES = 4

_FULL_BLOCK_BYTES = 254
_FULL_BLOCK_CODE = 255
# One code byte in front, and one more for every full block.
MAX_STUFFED_BYTES = (
    (MAX_PAYLOAD_BYTES + CHECKSUM_BYTES)
    + (MAX_PAYLOAD_BYTES + CHECKSUM_BYTES) // _FULL_BLOCK_BYTES
    + 1
)


class DamagedFrameError(Exception):
    """A frame that is not what its sender wrote."""


def stuff(packet: bytes) -> bytes:
    """Encode `packet` into at least one byte, none of them zero."""
    stuffed = bytearray()
    runs = packet.split(b"\x00")
    for index, run in enumerate(runs):
        for start in range(0, len(run) - _FULL_BLOCK_BYTES + 1, _FULL_BLOCK_BYTES):
            stuffed.append(_FULL_BLOCK_CODE)
            stuffed += run[start : start + _FULL_BLOCK_BYTES]
        rest = run[len(run) - len(run) % _FULL_BLOCK_BYTES :]
        ends_with_a_full_block = bool(run) and not rest and index == len(runs) - 1
        if not ends_with_a_full_block:
            stuffed.append(len(rest) + 1)
            stuffed += rest
    return bytes(stuffed)


def unstuff(stuffed: bytes) -> bytes:
    """Undo `stuff`.

    Raises:
        DamagedFrameError: the bytes hold a zero, or end inside a block.
    """
    packet = bytearray()
    position = 0
    while position < len(stuffed):
        code = stuffed[position]
        block = stuffed[position + 1 : position + code]
        if code == 0 or len(block) != code - 1 or 0 in block:
            raise DamagedFrameError("the byte stuffing is broken")
        packet += block
        position += code
        if code != _FULL_BLOCK_CODE and position < len(stuffed):
            packet.append(0)
    return bytes(packet)


def encode_frame(payload: bytes) -> bytes:
    """Return `payload` (at most MAX_PAYLOAD_BYTES) as it goes over the line, frame end included."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"a frame holds {MAX_PAYLOAD_BYTES} bytes, not {len(payload)}")
    checksum = zlib.crc32(payload).to_bytes(CHECKSUM_BYTES, "little")
    return stuff(payload + checksum) + FRAME_END


def decode_frame(stuffed: bytes) -> bytes:
    """Return the payload of one frame, given without its frame end.

    Raises:
        DamagedFrameError: the stuffing is broken, the checksum is wrong, or it is too long.
    """
    if len(stuffed) > MAX_STUFFED_BYTES:
        raise DamagedFrameError("the frame is longer than any that is sent")
    packet = unstuff(stuffed)
    payload, checksum = packet[:-CHECKSUM_BYTES], packet[-CHECKSUM_BYTES:]
    if len(checksum) != CHECKSUM_BYTES or zlib.crc32(payload) != int.from_bytes(checksum, "little"):
        raise DamagedFrameError("the checksum is wrong")
    return payload


class FrameReader:
    """Cuts a byte stream into frames; whatever is not an intact frame is counted and dropped."""

    def __init__(self) -> None:
        self._stuffed = bytearray()
        self._too_long = False
        self.dropped_frames = 0

    def feed(self, received: bytes) -> list[bytes]:
        """Take the next bytes from the line; return the payloads of the frames they complete."""
        payloads = []
        *ended, rest = received.split(FRAME_END)
        for part in ended:
            self._extend(part)
            payload = self._end_frame()
            if payload is not None:
                payloads.append(payload)
        self._extend(rest)
        return payloads

    def _extend(self, part: bytes) -> None:
        self._stuffed += part
        if len(self._stuffed) > MAX_STUFFED_BYTES:
            self._too_long = True
            self._stuffed.clear()

    def _end_frame(self) -> bytes | None:
        stuffed, too_long = bytes(self._stuffed), self._too_long
        self._stuffed.clear()
        self._too_long = False
        if not stuffed and not too_long:
            return None
        try:
            if too_long:
                raise DamagedFrameError("the frame is longer than any that is sent")
            return decode_frame(stuffed)
        except DamagedFrameError:
            self.dropped_frames += 1
            return None

"""COBS, CRC-32 and the frame receiver, compiled for this machine and called through ctypes."""

import ctypes
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

MAX_PAYLOAD = 1040
WriteByte = ctypes.CFUNCTYPE(None, ctypes.c_uint8)


class CobsDecoder(ctypes.Structure):
    _fields_ = (
        ("bytes", ctypes.POINTER(ctypes.c_uint8)),
        ("capacity", ctypes.c_uint32),
        ("length", ctypes.c_uint32),
        ("block_code", ctypes.c_uint8),
        ("block_left", ctypes.c_uint8),
        ("damaged", ctypes.c_bool),
        ("ended", ctypes.c_bool),
    )


class Link(ctypes.Structure):
    _fields_ = (("decoder", CobsDecoder), ("payload", ctypes.c_uint8 * (MAX_PAYLOAD + 4)))


class Receiver:
    """The link of the firmware: bytes in, payloads out."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._link = Link()
        library.link_receive.restype = ctypes.c_uint32
        library.link_start(ctypes.byref(self._link))

    def feed(self, wire: bytes) -> list[bytes]:
        payloads = []
        for byte in wire:
            length = self._library.link_receive(ctypes.byref(self._link), ctypes.c_uint8(byte))
            assert length <= MAX_PAYLOAD
            assert self._link.decoder.length <= MAX_PAYLOAD + 4
            if length:
                payloads.append(bytes(self._link.payload[:length]))
        return payloads

    def send(self, payload: bytes) -> bytes:
        wire = bytearray()
        ctypes.memmove(self._link.payload, payload, len(payload))
        self._library.link_send(
            ctypes.byref(self._link), ctypes.c_uint32(len(payload)), WriteByte(wire.append)
        )
        return bytes(wire)


@pytest.fixture
def receiver(firmware_library: ctypes.CDLL) -> Receiver:
    return Receiver(firmware_library)


payloads = st.one_of(
    st.binary(min_size=1, max_size=MAX_PAYLOAD),
    # Few different bytes: many zeros, and blocks of 254 without one.
    st.lists(st.sampled_from([0, 1, 255]), min_size=1, max_size=MAX_PAYLOAD).map(bytes),
    st.integers(250, 770).map(lambda length: b"\x07" * length),
)


@given(data=st.binary(max_size=400))
def test_crc_equals_zlib(firmware_library: ctypes.CDLL, data: bytes) -> None:
    firmware_library.crc32.restype = ctypes.c_uint32
    assert firmware_library.crc32(data, len(data)) == zlib.crc32(data)


@given(payload=payloads)
def test_the_device_understands_what_the_host_encodes(
    firmware_library: ctypes.CDLL, frame: Callable[[bytes], bytes], payload: bytes
) -> None:
    assert Receiver(firmware_library).feed(frame(payload)) == [payload]


@given(payload=payloads)
def test_the_host_understands_what_the_device_encodes(
    firmware_library: ctypes.CDLL, unframe: Callable[[bytes], bytes], payload: bytes
) -> None:
    assert unframe(Receiver(firmware_library).send(payload)) == payload


@given(payload=payloads, data=st.data())
def test_a_damaged_frame_is_dropped_and_the_next_one_is_understood(
    firmware_library: ctypes.CDLL,
    frame: Callable[[bytes], bytes],
    payload: bytes,
    data: st.DataObject,
) -> None:
    wire = bytearray(frame(payload))
    position = data.draw(st.integers(0, len(wire) - 2))
    wire[position] ^= data.draw(st.integers(1, 255))
    # A flipped byte may become a frame end: two damaged frames then, of which none is whole.
    receiver = Receiver(firmware_library)
    assert receiver.feed(bytes(wire)) == []
    assert receiver.feed(frame(b"next")) == [b"next"]


@given(noise=st.binary(max_size=3000))
def test_any_noise_is_survived(
    firmware_library: ctypes.CDLL, frame: Callable[[bytes], bytes], noise: bytes
) -> None:
    receiver = Receiver(firmware_library)
    for payload in receiver.feed(noise + b"\0"):
        assert frame(payload) in b"\0" + noise + b"\0"
    assert receiver.feed(frame(b"after")) == [b"after"]


@pytest.mark.parametrize("length", [MAX_PAYLOAD + 1, MAX_PAYLOAD + 2, 5000, 100_000])
def test_a_frame_that_is_too_long_is_dropped_up_to_its_end(
    receiver: Receiver, frame: Callable[[bytes], bytes], length: int
) -> None:
    assert receiver.feed(frame(b"\x55" * length)) == []
    assert receiver.feed(frame(b"short")) == [b"short"]


def test_the_longest_payload_fits(receiver: Receiver, frame: Callable[[bytes], bytes]) -> None:
    longest = bytes(range(256)) * 4 + b"\0" * 16
    assert len(longest) == MAX_PAYLOAD
    assert receiver.feed(frame(longest)) == [longest]


def test_a_frame_that_was_cut_short_does_not_spoil_the_next(
    receiver: Receiver, frame: Callable[[bytes], bytes]
) -> None:
    assert receiver.feed(frame(b"half of this is lost")[:9] + b"\0") == []
    assert receiver.feed(frame(b"whole")) == [b"whole"]


def test_frame_ends_alone_are_ignored(receiver: Receiver, frame: Callable[[bytes], bytes]) -> None:
    assert receiver.feed(b"\0\0\0" + frame(b"x") + b"\0") == [b"x"]

from hypothesis import given
from hypothesis import strategies as st

from automcu.boards.protocol import (
    FRAME_END,
    MAX_PAYLOAD_BYTES,
    MAX_STUFFED_BYTES,
    FrameReader,
    encode_frame,
    stuff,
    unstuff,
)

payloads = st.binary(max_size=MAX_PAYLOAD_BYTES) | st.builds(
    lambda byte, count: byte * count,
    st.binary(min_size=1, max_size=1),
    st.integers(0, MAX_PAYLOAD_BYTES),
)


@given(payloads)
def test_any_payload_survives(payload: bytes) -> None:
    assert FrameReader().feed(encode_frame(payload)) == [payload]


@given(payloads)
def test_a_frame_has_no_zero_before_its_end_and_a_bounded_length(payload: bytes) -> None:
    frame = encode_frame(payload)
    assert frame.index(FRAME_END) == len(frame) - 1
    assert len(frame) <= MAX_STUFFED_BYTES + 1


@given(st.binary(max_size=2000))
def test_stuffing_is_undone(packet: bytes) -> None:
    stuffed = stuff(packet)
    assert 0 not in stuffed
    assert unstuff(stuffed) == packet


def test_stuffing_gives_the_examples_of_the_paper() -> None:
    long = bytes(range(1, 255))
    assert stuff(b"") == b"\x01"
    assert stuff(b"\x00") == b"\x01\x01"
    assert stuff(b"\x11\x22\x00\x33") == b"\x03\x11\x22\x02\x33"
    assert stuff(long) == b"\xff" + long
    assert stuff(long + b"\xff") == b"\xff" + long + b"\x02\xff"
    assert stuff(long + b"\x00") == b"\xff" + long + b"\x01\x01"


@given(st.lists(payloads, max_size=4), st.data())
def test_frames_survive_any_cutting_of_the_stream(sent: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(encode_frame(payload) for payload in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    reader = FrameReader()
    received = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        received += reader.feed(stream[start:end])
    assert received == sent


@given(st.binary(max_size=3000), payloads)
def test_any_garbage_before_a_frame_end_is_survived(garbage: bytes, payload: bytes) -> None:
    reader = FrameReader()
    assert reader.feed(garbage + FRAME_END + encode_frame(payload))[-1] == payload


@given(payloads, st.lists(st.integers(0, 2**16), min_size=1, max_size=8))
def test_flipped_bits_never_give_another_payload(payload: bytes, flips: list[int]) -> None:
    frame = bytearray(encode_frame(payload))
    for flip in flips:
        bit = flip % (8 * len(frame))
        frame[bit // 8] ^= 1 << bit % 8
    received = FrameReader().feed(bytes(frame) + FRAME_END)
    assert received in ([], [payload])


@given(payloads, payloads)
def test_a_cut_frame_does_not_cost_the_one_after_the_next_end(lost: bytes, kept: bytes) -> None:
    cut = encode_frame(lost)[:-1][: len(lost) // 2]
    assert FrameReader().feed(cut + FRAME_END + encode_frame(kept))[-1] == kept


def test_an_endless_frame_takes_bounded_memory_and_is_dropped() -> None:
    reader = FrameReader()
    for _ in range(1000):
        assert reader.feed(b"\x01" * 1000) == []
    assert len(reader._stuffed) <= MAX_STUFFED_BYTES
    assert reader.feed(FRAME_END + encode_frame(b"next")) == [b"next"]
    assert reader.dropped_frames == 1

"""memcpy, memmove and memset of the firmware, at every alignment, against Python's slices."""

import ctypes

from hypothesis import given
from hypothesis import strategies as st

SIZE = 160
offsets = st.integers(0, 40)
lengths = st.integers(0, 100)
contents = st.binary(min_size=SIZE, max_size=SIZE)


def call(library: ctypes.CDLL, name: str, *arguments: int) -> int:
    function = library[f"firmware_{name}"]
    function.restype = ctypes.c_void_p
    last_is_length = [*map(ctypes.c_void_p, arguments[:-1]), ctypes.c_size_t(arguments[-1])]
    return int(function(*last_is_length))


@given(content=contents, source=offsets, target=offsets, length=lengths)
def test_memcpy_copies_exactly_its_bytes(
    firmware_library: ctypes.CDLL, content: bytes, source: int, target: int, length: int
) -> None:
    origin = ctypes.create_string_buffer(content, SIZE)
    copy = ctypes.create_string_buffer(SIZE)
    start = ctypes.addressof(copy) + target
    returned = call(firmware_library, "memcpy", start, ctypes.addressof(origin) + source, length)
    expected = bytearray(SIZE)
    expected[target : target + length] = content[source : source + length]
    assert (copy.raw, returned) == (bytes(expected), start)


@given(content=contents, source=offsets, target=offsets, length=lengths)
def test_memmove_copies_between_overlapping_ranges(
    firmware_library: ctypes.CDLL, content: bytes, source: int, target: int, length: int
) -> None:
    memory = ctypes.create_string_buffer(content, SIZE)
    base = ctypes.addressof(memory)
    call(firmware_library, "memmove", base + target, base + source, length)
    expected = bytearray(content)
    expected[target : target + length] = content[source : source + length]
    assert memory.raw == bytes(expected)


@given(content=contents, target=offsets, length=lengths, value=st.integers(-300, 300))
def test_memset_fills_exactly_its_bytes(
    firmware_library: ctypes.CDLL, content: bytes, target: int, length: int, value: int
) -> None:
    memory = ctypes.create_string_buffer(content, SIZE)
    function = firmware_library.firmware_memset
    function.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
    function(ctypes.addressof(memory) + target, value, length)
    expected = bytearray(content)
    expected[target : target + length] = bytes([value % 256]) * length
    assert memory.raw == bytes(expected)

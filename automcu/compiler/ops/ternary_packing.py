"""Ternary weights in flash: five to a byte, in the order in which kernels look them up.

A byte is the sum of (weight + 1) 3^i over five neighbouring inputs of a channel: 243 values. A
kernel makes tables of all 243 signed sums for `PASS` groups of five inputs, then goes through all
channels: the bytes of a pass lie together, channel by channel. Nothing is padded but a channel's
last group, so that a weight takes 1.6 bits.
"""

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

WEIGHTS_PER_BYTE = 5
SUMS = 3**WEIGHTS_PER_BYTE
PASS = 4  # groups whose tables are in memory at a time

_PLACES = 3 ** np.arange(WEIGHTS_PER_BYTE)


def gray_code() -> Iterator[tuple[int, int, int]]:
    """All digits of three places, each one step from that before (a reflected Gray code)."""
    for third, second, first in product(range(3), repeat=3):
        turned = 2 - second if third % 2 else second
        yield (2 - first if (3 * third + second) % 2 else first), turned, third


def groups_of(depth: int) -> int:
    """Bytes that a channel's weights take."""
    return -(-depth // WEIGHTS_PER_BYTE)


def pack_ternary(weights: NDArray[np.int8]) -> NDArray[np.uint8]:
    """The stream for weights [channels, depth], each -1, 0 or 1.

    Raises:
        ValueError: a weight is none of them.
    """
    if np.abs(weights).max(initial=0) > 1:
        raise ValueError("ternary weights are -1, 0 or 1")
    channels, depth = weights.shape
    groups = groups_of(depth)
    padded = np.zeros((channels, groups * WEIGHTS_PER_BYTE), np.int64)
    padded[:, :depth] = weights
    digits = padded.reshape(channels, groups, WEIGHTS_PER_BYTE) + 1
    codes = (digits * _PLACES).sum(axis=2).astype(np.uint8)
    passes = [codes[:, first : first + PASS].reshape(-1) for first in range(0, groups, PASS)]
    return np.concatenate(passes)


def unpack_ternary(packed: NDArray[np.uint8], channels: int, depth: int) -> NDArray[np.int8]:
    """The weights [channels, depth] of a stream; kernels never do this."""
    groups = groups_of(depth)
    codes = np.empty((channels, groups), np.int64)
    for first in range(0, groups, PASS):
        count = min(PASS, groups - first)
        part = packed[first * channels : (first + count) * channels]
        codes[:, first : first + count] = part.reshape(channels, count)
    digits = codes[:, :, None] // _PLACES % 3
    return (digits - 1).reshape(channels, -1)[:, :depth].astype(np.int8)

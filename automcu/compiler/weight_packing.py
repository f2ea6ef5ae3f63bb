"""Weights of fewer than 8 bits as a stream of 32-bit words, made to be unpacked a word at a time.

An n-bit weight is an int8 whose 8 - n low bits are zero, so that it needs no sign extension: it is
shifted into the top of its byte and masked. Four bytes go through each operation side by side;
bits never leave the byte in which they lie, so the stream does not depend on byte order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.kernel import Kernel, SharedCode

FULL_WIDTH = 8
_WORD_BYTES = 4


@dataclass(frozen=True)
class Part:
    """The bits of an unpacked byte under `mask`, which lie `shift` lower in packed word `word`."""

    word: int
    shift: int
    mask: int


@dataclass(frozen=True)
class Layout:
    """How one unit is packed: `words` packed words, and for each unpacked word its parts."""

    bits: int
    words: int
    unpacked: tuple[tuple[Part, ...], ...]

    @property
    def unpacked_bytes(self) -> int:
        """Weights of a unit."""
        return _WORD_BYTES * len(self.unpacked)

    @property
    def packed_bytes(self) -> int:
        """Bytes of flash of a unit."""
        return _WORD_BYTES * self.words


def _whole(word: int, shift: int, bits: int) -> tuple[Part, ...]:
    return (Part(word, shift, 0x100 - (1 << (FULL_WIDTH - bits))),)


_SIX = (
    *(_whole(word, 0, 6) for word in range(3)),
    (Part(0, 6, 0xC0), Part(1, 4, 0x30), Part(2, 2, 0x0C)),
)
_FOUR = tuple(_whole(word, shift, 4) for word in range(2) for shift in (0, 4))
_THREE = (
    *(_whole(word, shift, 3) for word in range(3) for shift in (0, 3)),
    (Part(0, 6, 0xC0), Part(2, 5, 0x20)),
    (Part(1, 6, 0xC0), Part(2, 4, 0x20)),
)
_TWO = tuple(_whole(0, shift, 2) for shift in (0, 2, 4, 6))

_ALL = (Layout(6, 3, _SIX), Layout(4, 2, _FOUR), Layout(3, 3, _THREE), Layout(2, 1, _TWO))
LAYOUTS = {layout.bits: layout for layout in _ALL}


@dataclass(frozen=True)
class Packing:
    """Weights packed in `groups` of `group_bytes` each, every one of whole units."""

    layout: Layout
    groups: int
    group_bytes: int

    @property
    def units(self) -> int:
        """Units of one group."""
        return -(-self.group_bytes // self.layout.unpacked_bytes)

    @property
    def unpacked_bytes(self) -> int:
        """Scratch that one group is unpacked into."""
        return self.units * self.layout.unpacked_bytes

    @property
    def packed_bytes(self) -> int:
        """Flash that all groups take."""
        return self.groups * self.units * self.layout.packed_bytes

    @property
    def function(self) -> str:
        """The C function that unpacks a group; a program has it once."""
        return f"unpack_{self.layout.bits}_bits"

    def settings(self, scratch_offset: int) -> dict[str, object]:
        """The constants that the C code needs; a group is unpacked at `scratch_offset`."""
        return {
            "unpack": self.function,
            "units": self.units,
            "packed_group_bytes": self.units * self.layout.packed_bytes,
            "unpacked_bytes": self.unpacked_bytes,
            "unpacked_offset": scratch_offset,
            "weight_bits": self.layout.bits,
        }

    def work(self, times: int) -> dict[str, int]:
        """Units of work of unpacking all groups so many times; no kernel has a rate of its own."""
        calls = times * self.groups
        return {
            "unpack/calls": calls,
            f"unpack/weights_{self.layout.bits}": calls * self.unpacked_bytes,
        }

    def pack(self, weights: NDArray[np.int8]) -> NDArray[np.int8]:
        """The stream for weights in the order of the kernel."""
        grouped = weights.reshape(self.groups, self.group_bytes)
        padding = self.unpacked_bytes - self.group_bytes
        return pack(np.pad(grouped, ((0, 0), (0, padding))).reshape(-1), self.layout.bits)


def packing(bits: int, weights: int, groups: int) -> Packing | None:
    """How so many weights are packed; None for weights of 8 bits."""
    return None if bits == FULL_WIDTH else Packing(LAYOUTS[bits], groups, weights // groups)


def pack(weights: NDArray[np.int8], bits: int) -> NDArray[np.int8]:
    """The stream for whole units of weights, int8 multiples of 2^(8 - bits).

    Raises:
        ValueError: a weight has more bits.
    """
    layout = LAYOUTS[bits]
    bytes_ = weights.view(np.uint8)
    if (bytes_ & ((1 << (FULL_WIDTH - bits)) - 1)).any():
        raise ValueError(f"not all weights are multiples of {1 << (FULL_WIDTH - bits)}")
    units = bytes_.reshape(-1, len(layout.unpacked), _WORD_BYTES)
    packed = np.zeros((len(units), layout.words, _WORD_BYTES), np.uint8)
    for index, parts in enumerate(layout.unpacked):
        for part in parts:
            packed[:, part.word] |= (units[:, index] & part.mask) >> part.shift
    return packed.reshape(-1).view(np.int8)


def unpack(packed: NDArray[np.int8], bits: int) -> NDArray[np.int8]:
    """The weights of a stream: what the C of `unpack.h.j2` computes."""
    layout = LAYOUTS[bits]
    units = packed.view(np.uint8).reshape(-1, layout.words, _WORD_BYTES)
    weights = np.zeros((len(units), len(layout.unpacked), _WORD_BYTES), np.uint8)
    for index, parts in enumerate(layout.unpacked):
        for part in parts:
            weights[:, index] |= (units[:, part.word] << part.shift) & part.mask
    return weights.reshape(-1).view(np.int8)


def _layouts_of(kernels: Sequence[Kernel]) -> dict[str, object]:
    """The layouts that a program's kernels unpack."""
    widths = {int(str(k.settings.get("weight_bits", FULL_WIDTH))) for k in kernels}
    return {"layouts": [LAYOUTS[bits] for bits in sorted(widths - {FULL_WIDTH})]}


UNPACKING = SharedCode(Path(__file__).with_name("unpack.h.j2"), _layouts_of, order=0)

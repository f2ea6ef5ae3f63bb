"""The ring of widened input rows that kernels on armv7e-m read from.

Each input row is widened to 16 bits once, with the padding in place, and read by every output row
and channel that needs it. Because rows are copied before they are used, the output may take the
input's memory where it never catches up with rows still to be read.
"""

from dataclasses import dataclass

from automcu.compiler.window import Window

RING_FUNCTIONS = ("advance_ring", "widen_pixels")
"""The C functions that a program with such kernels has once."""


@dataclass(frozen=True)
class Ring:
    """How a layer is cut into rows, and rows into segments that one kernel row multiplies.

    A pointwise layer is cut into short rows of its own, the last of which has `tail_pixels` only.
    """

    in_height: int
    in_width: int
    in_channels: int
    out_height: int
    out_width: int
    out_channels: int
    window: Window
    tail_pixels: int = 0

    @property
    def ring_channels(self) -> int:
        """Channels in the ring: windows of neighbouring pixels must start at whole words."""
        channels = self.in_channels
        while channels % 4 and self.window.stride[1] * channels % 2:
            channels += 1
        return channels

    @property
    def ring_pixels(self) -> int:
        """Input pixels of a row that the output row reads, padding included."""
        return (self.out_width - 1) * self.window.stride[1] + self.window.width

    @property
    def segment(self) -> int:
        """Values that one kernel row multiplies."""
        return self.window.width * self.ring_channels

    @property
    def steps(self) -> int:
        """Pairs of values in a segment."""
        return (self.segment + 1) // 2

    @property
    def ring_row(self) -> int:
        """Values between rows of the ring; one more is read where a segment is odd."""
        values = self.ring_pixels * self.ring_channels + self.segment % 2
        return values + values % 2

    @property
    def scratch_bytes(self) -> int:
        """Bytes of the ring: one row for each kernel row."""
        return 2 * self.window.height * self.ring_row

    def settings(self) -> dict[str, object]:
        """The constants that the C code of the ring needs."""
        pad_left = self.window.padding[1]
        read_pixels = min(self.in_width, self.ring_pixels - pad_left)
        return {
            "in_height": self.in_height + bool(self.tail_pixels),
            "in_width": self.in_width,
            "in_channels": self.in_channels,
            "padded": any(self.window.padding),
            "pad_bottom": self.window.padding[2],
            "ring_channels": self.ring_channels,
            "ring_pixels": self.ring_pixels,
            "ring_row": self.ring_row,
            "read_pixels": read_pixels,
            "right_pixels": self.ring_pixels - pad_left - read_pixels,
            "tail_pixels": self.tail_pixels,
            "gathers": False,
            "out_rows": self.out_height,
            "row_outputs": self.out_width * self.out_channels,
        }

    def work(self) -> dict[str, int]:
        """What filling the ring takes, for the latency model: the same code in all kernels.

        Channels in fours are widened a word at a time, others value by value.
        """
        read, filled = self._rows()
        pixels = read * min(self.in_width, self.ring_pixels - self.window.padding[1])
        pixels += self.tail_pixels
        calls = self.out_height + bool(self.tail_pixels)
        in_words = self.in_channels % 4 == 0
        values = pixels * self.ring_channels
        work = {
            "ring/calls": calls,
            "ring/pointers": calls * self.window.height,
            "ring/rows": read + filled + bool(self.tail_pixels),
            "ring/padding": (read + filled) * self.ring_row - values,
        }
        if in_words:
            return work | {"ring/words": values // 4}
        return work | {"ring/values": values, "ring/pixels": pixels}

    def _rows(self) -> tuple[int, int]:
        """Image rows that are widened, and rows of padding that are filled in."""
        new = min(self.window.stride[0], self.window.height)
        read = filled = 0
        for row in range(self.out_height):
            end = row * self.window.stride[0] + self.window.height - self.window.padding[0]
            first = end - (new if row else self.window.height)
            inside = max(0, min(end, self.in_height) - max(first, 0))
            read += inside
            filled += end - first - inside
        return read, filled

    def code(self) -> dict[str, int]:
        """What the code has beyond the blocks, for the code size model: a loop, a second part."""
        loop = {"loops": 1} if self.out_height > 1 else {}
        return loop | ({"tails": 1} if self.tail_pixels else {})

    def may_overwrite_input(self) -> bool:
        """Whether every output row only covers input rows that are in the ring by then."""
        for row in range(self.out_height):
            written = (row + 1) * self.out_width * self.out_channels
            first = row * self.window.stride[0] - self.window.padding[0]
            read = min(first + self.window.height, self.in_height)
            if written > read * self.in_width * self.in_channels:
                return False
        return True

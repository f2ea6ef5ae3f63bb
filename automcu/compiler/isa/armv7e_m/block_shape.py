"""The shape of a convolution's inner loop, and which such blocks rows of pixels can be cut into."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from automcu.mcu.core import Core

ACCUMULATORS = ("r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11")
LARGEST_OFFSET = 4095  # of LDR and ADD with a 12-bit immediate
LARGEST_CONSTANT = 65535  # of MOVW
Issue = Literal["single", "dual"]

# Steps in a pass of a single-issue loop. 8 x 60 bytes stay inside a 1 KiB instruction cache;
# several kernel rows make long loops anyway, where half the code costs 3 % of the time.
_MOST_UNROLLED = {"one segment": 8, "several segments": 4}
# A dual-issue loop needs some cycles to get into its stride, and its cores have 4 KiB of cache.
_MOST_UNROLLED_DUAL = 16


@dataclass(frozen=True)
class Block:
    """The shape of an inner loop: everything in it is a constant of the generated code.

    `steps` are pairs of depth in one segment (one kernel row); `pixel_bytes` lie between the
    first activations of neighbouring output pixels; `pair_bytes` between the weights of
    neighbouring channel pairs; `out_channels` is the output's pixel stride; `issue` is how many
    instructions at a time the core it is for issues; with `amplifies` some channels do.
    """

    function: str
    pixels: int
    channels: int
    segments: int
    steps: int
    pixel_bytes: int
    out_channels: int
    residual: bool
    issue: Issue
    amplifies: bool = False

    @property
    def pair_bytes(self) -> int:
        """Bytes of weights of one channel pair."""
        return 4 * self.steps * self.segments

    @property
    def unrolled(self) -> int:
        """Steps in one pass of the loop: the largest divisor that keeps the code small."""
        most = _MOST_UNROLLED_DUAL
        if self.issue == "single":
            steps = _MOST_UNROLLED["one segment" if self.segments == 1 else "several segments"]
            most = steps * len(ACCUMULATORS) // (self.pixels * self.channels)
        return max(n for n in range(1, most + 1) if self.steps % n == 0)

    @property
    def name(self) -> str:
        """What figures of this shape are called."""
        return f"{self.pixels}x{self.channels}" + ("_dual" if self.issue == "dual" else "")

    @property
    def reaches(self) -> bool:
        """Whether all loads of a pass, and all stores, lie within the reach of an offset."""
        activations = (self.pixels - 1) * self.pixel_bytes
        weights = (self.channels // 2 - 1) * self.pair_bytes
        pass_bytes = 4 * self.unrolled if self.issue == "dual" else 0
        outputs = self.pixels * self.out_channels
        return (
            max(max(activations, weights) + pass_bytes, outputs) <= LARGEST_OFFSET
            and max(4 * self.steps, self.pixels * self.pixel_bytes) <= LARGEST_CONSTANT
        )


@dataclass(frozen=True)
class Tile:
    """The largest block of a row, and for how many instructions at a time it is arranged."""

    pixels: int
    channels: int
    issue: Issue

    @property
    def name(self) -> str:
        """The tile as part of a C name."""
        return f"{self.pixels}x{self.channels}" + ("_dual" if self.issue == "dual" else "")

    @property
    def title(self) -> str:
        """The tile as people read it."""
        return f"{self.pixels}x{self.channels}" + (" dual-issue" if self.issue == "dual" else "")


def issues(core: Core) -> tuple[Issue, ...]:
    """The ways in which loops are worth ordering for a core, the one that usually wins first."""
    return ("dual", "single") if core.issue_width > 1 else ("single",)


def tiles(width: int, out_channels: int, core: Core) -> tuple[Tile, ...]:
    """The tiles for rows of `width` pixels; the one that usually wins comes first."""
    return tuple(
        Tile(pixels, channels, issue)
        for issue in issues(core)
        for pixels, channels in _shapes(width, issue)
        if out_channels % channels == 0
    )


def _shapes(width: int, issue: Issue) -> Iterator[tuple[int, int]]:
    """Blocks of eight sums, or six where the registers left over save more than two sums."""
    if width == 1:
        yield from ((1, 8), (1, 4), (1, 2))
    elif width == 2:
        yield from ((2, 4), (2, 2), (1, 8))
    elif width == 3:
        yield from ((3, 2), (2, 4))
    else:
        yield (4, 2)
        if issue == "dual":
            yield (3, 2)
        yield (2, 4)


def split_row(width: int, tile: Tile) -> list[tuple[int, int, int]]:
    """Blocks of a row: pixels in each, how many, the first pixel of the first."""
    most = min(width, tile.pixels)
    count, rest = divmod(width, most)
    if most == 3 and rest == 1 and count:
        # A block of one pixel costs nearly as much as one of two.
        parts = [(3, count - 1), (2, 2)]
    else:
        parts = [(most, count), (rest, 1)]
    first = 0
    found = []
    for pixels, blocks in parts:
        if pixels and blocks:
            found.append((pixels, blocks, first))
        first += pixels * blocks
    return found

"""Which blocks of pixels by channels a convolution's rows can be cut into."""

from collections.abc import Iterator
from dataclasses import dataclass

from automcu.compiler.isa.armv7e_m.block_shape import Issue
from automcu.mcu.profile import Core

DUAL_ISSUE_CORES: tuple[Core, ...] = ("cortex-m7",)


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


def tiles(width: int, out_channels: int, core: Core) -> tuple[Tile, ...]:
    """The tiles for rows of `width` pixels; the one that usually wins comes first."""
    issues: tuple[Issue, ...] = ("dual", "single") if core in DUAL_ISSUE_CORES else ("single",)
    return tuple(
        Tile(pixels, channels, issue)
        for issue in issues
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

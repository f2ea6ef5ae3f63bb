"""The shape of a convolution's inner loop, from which its assembly is made."""

from dataclasses import dataclass
from typing import Literal

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

"""What a network costs on a device, and whether that fits."""

from typing import Literal

from automcu.records import Record


class OtherKernel(Record):
    """A kernel that a layer could have had, and its modelled cycles."""

    variant: str
    cycles: int


class LayerCost(Record):
    """One layer of the compiled program; cycles are modelled, flash wait states included.

    `others` are the kernels that lost to its own.
    """

    name: str
    op: str
    variant: str
    macs: int
    cycles: int
    weight_bytes: int
    output_shape: tuple[int, int, int]
    others: tuple[OtherKernel, ...] = ()


class Guesses(Record):
    """What of an estimate rests on kernels that have no fitted figures: layers, cycles, code."""

    layers: tuple[str, ...] = ()
    cycles: int = 0
    code_bytes: int = 0


class Estimate(Record):
    """Cost of one inference and of the firmware around it; modelled, before anything is built.

    `flash_bytes` is all of the image (weights, code, start-up and runtime); `ram_bytes` the
    arena, the stack and the runtime's own data; `energy_millijoule` is an estimate from the
    profile's active current. `latency_percent` is the error bar of the latency: the largest error
    of the figures on whole networks kept out of their fit, against the board (virtual or real)
    that they were fitted to; of networks of few cycles it is wider. None: nobody checked, or a
    kernel has no fitted figures.
    `arena_lower_bound_bytes` is what no packing of the tensors can go below; None for a cell of a
    survey. `clock_note` is a sentence on the clock that the latency holds for, where one is due.
    `guesses` are part of the totals.
    """

    device: str
    flash_bytes: int
    weight_bytes: int
    code_bytes: int
    ram_bytes: int
    arena_bytes: int
    stack_bytes: int
    cycles: int
    latency_ms: float
    energy_millijoule: float
    macs: int
    layers: tuple[LayerCost, ...]
    latency_percent: float | None = None
    arena_lower_bound_bytes: int | None = None
    clock_note: str | None = None
    guesses: Guesses = Guesses()


class RowTilingEffect(Record):
    """Layers that run some rows at a time, and what the network would need if none did."""

    layers: tuple[str, ...]
    arena_bytes_whole: int
    cycles_whole: int
    flash_bytes_whole: int


class Limit(Record):
    """A limit that is broken: how much is needed and available, where, and what would help.

    It is not `certain` where it would be kept without what is guessed.
    """

    limit: Literal["flash", "ram", "latency", "energy"]
    needed: float
    available: float
    layer: str | None = None
    help: str | None = None
    certain: bool = True


class Verdict(Record):
    """Whether an estimate satisfies device and brief; `limits` holds those that it breaks."""

    device: str
    fits: bool
    limits: tuple[Limit, ...]
    estimate: Estimate


class Remedy(Record):
    """One change that would make a network keep all limits, and what it needs then; modelled.

    `latency_percent` is the latency's error bar, as in `Estimate`.
    """

    change: str
    device: str
    flash_bytes: int
    ram_bytes: int
    latency_ms: float
    latency_percent: float | None = None
    energy_millijoule: float | None = None

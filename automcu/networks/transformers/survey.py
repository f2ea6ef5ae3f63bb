"""Which vision transformers fit a device: each is compiled, without weights, and judged."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby

from automcu.brief import NO_LIMITS, Limits
from automcu.cost.records import Estimate, Verdict
from automcu.cost.verdict import check
from automcu.errors import UnsupportedModelError
from automcu.mcu.profile import Device
from automcu.networks.estimate import estimate
from automcu.networks.transformers.shape import TransformerShape
from automcu.records import Record

Progress = Callable[[int, int, int], None]
"""(judged, all, how many of them fit)."""


class FeasibleTransformer(Record):
    """A vision transformer that fits, with its modelled cost; no table knows its accuracy."""

    shape: TransformerShape
    latency_ms: float
    flash_bytes: int
    ram_bytes: int
    macs: int


class TransformerSurvey(Record):
    """How much of the transformers' space fits a device.

    `excluded` counts the shapes that each limit rules out; a deeper one than one that is ruled out
    counts with it. `arithmetic` stands there for more tokens or channels than integers allow.
    `smallest` is the verdict on the shape that needs the fewest cycles, None where none compiles.
    """

    device: str
    shapes: int
    excluded: dict[str, int]
    seconds: float
    feasible: tuple[FeasibleTransformer, ...]
    smallest: Verdict | None


def survey_transformers(
    device: Device,
    shapes: Sequence[TransformerShape],
    limits: Limits = NO_LIMITS,
    progress: Progress | None = None,
) -> TransformerSurvey:
    """Judge `shapes`, of which those that differ in depth only stand together, by ascending depth.

    Cost grows with depth, so what follows a shape that does not fit is not compiled.
    """
    started = time.perf_counter()
    feasible: list[FeasibleTransformer] = []
    excluded: Counter[str] = Counter()
    smallest: Verdict | None = None
    judged = 0
    for _, group in groupby(shapes, key=_without_depth):
        series = list(group)
        for position, shape in enumerate(series):
            verdict = _verdict(shape, device, limits)
            if verdict is None:
                excluded["arithmetic"] += len(series) - position
                break
            if smallest is None or verdict.estimate.cycles < smallest.estimate.cycles:
                smallest = verdict
            if not verdict.fits:
                excluded.update({limit.limit: len(series) - position for limit in verdict.limits})
                break
            feasible.append(_feasible(shape, verdict.estimate))
        judged += len(series)
        if progress is not None:
            progress(judged, len(shapes), len(feasible))
    return TransformerSurvey(
        device=device.id,
        shapes=len(shapes),
        excluded=dict(excluded),
        seconds=time.perf_counter() - started,
        feasible=tuple(feasible),
        smallest=smallest,
    )


def _verdict(shape: TransformerShape, device: Device, limits: Limits) -> Verdict | None:
    try:
        needed = estimate(shape, device)
    except UnsupportedModelError:
        return None
    return check(needed, device, limits)


def _feasible(shape: TransformerShape, needed: Estimate) -> FeasibleTransformer:
    return FeasibleTransformer(
        shape=shape,
        latency_ms=needed.latency_ms,
        flash_bytes=needed.flash_bytes,
        ram_bytes=needed.ram_bytes,
        macs=needed.macs,
    )


def _without_depth(shape: TransformerShape) -> tuple[int, ...]:
    return shape.resolution, shape.patch, shape.dim, shape.heads, shape.mlp_ratio

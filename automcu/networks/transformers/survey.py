"""Which vision transformers fit a device, and which of them are worth training.

Each is compiled, without weights, as the graph that it will become once it is trained and imported
(tests hold that against an exported file), and judged. No table knows their accuracy: they are
ranked by what they do with the time there is, the same score as that of a cell without a prior, and
shapes with other patches come before more of the same.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np

from automcu.brief import NO_LIMITS, Limits
from automcu.compiler.graph import Attributes, Graph, Operator, Quantisation, Tensor
from automcu.compiler.ops import (
    Add,
    AddConstant,
    Attention,
    AveragePool,
    Convolution,
    LayerNorm,
    Lookup,
    Rearrange,
)
from automcu.compiler.tensor import Window
from automcu.cost.records import Estimate, Verdict
from automcu.cost.verdict import check, miss
from automcu.errors import UnsupportedModelError
from automcu.mcu.profile import Device
from automcu.networks.estimate import ASSUMED_LATENCY_MS, estimate, score
from automcu.networks.family import FamilyPlan, propose
from automcu.networks.transformers.family import TransformerShape
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


CAPACITY = "capacity (modelled work; no table of transformers)"
# As in the cells' plan: spare proposals, and the share of the latency limit that is kept free; more
# of it where a kernel's figures are a guess.
_SPARES = 2
_LATENCY_RESERVE = 0.05
_RESERVE_WITHOUT_FIGURES = 0.2
_SEED_JITTER = 0.01
# A shape with the same patches and pixels as one that is chosen teaches less.
_PRICE_OF_LIKENESS = 0.3


def plan_transformers(
    survey: TransformerSurvey, *, latency_limit_ms: float | None, budget: int, seed: int
) -> FamilyPlan:
    """Choose the transformers to train, best first; the same for the same seed.

    A plan of none says that none fits.
    """
    chosen = _chosen(survey, latency_limit_ms, budget + _SPARES, seed)
    return FamilyPlan(
        prior=CAPACITY,
        space=survey.shapes,
        feasible=len(survey.feasible),
        excluded=survey.excluded,
        proposals=tuple(
            propose(rank, found.shape, found, value)
            for rank, (found, value) in enumerate(chosen, start=1)
        ),
        seconds=survey.seconds,
        miss="" if chosen else _smallest_miss(survey),
    )


def _smallest_miss(survey: TransformerSurvey) -> str:
    """Say which limits even the quickest transformer breaks, and by how much."""
    misses = [miss(limit) for limit in survey.smallest.limits] if survey.smallest else []
    return (
        f"No vision transformer fits {survey.device}: the quickest one misses "
        f"{' and '.join(misses)}. Raise that limit, choose a larger board, or try --family cnn."
    )


def _chosen(
    survey: TransformerSurvey, limit_ms: float | None, count: int, seed: int
) -> list[tuple[FeasibleTransformer, float]]:
    """Greedily by score, less a price where the same patches are chosen already."""
    generator = np.random.default_rng(seed)
    fitted = survey.smallest and survey.smallest.estimate.latency_percent is not None
    reserve = _LATENCY_RESERVE if fitted else _RESERVE_WITHOUT_FIGURES
    safe_ms = (1.0 - reserve) * (limit_ms or ASSUMED_LATENCY_MS)
    within = [one for one in survey.feasible if one.latency_ms <= safe_ms]
    # Beyond the time that is assumed to be there, more work is worth nothing: the quickest first.
    left = [
        (one, score(one, limit_ms) + float(generator.normal(0.0, _SEED_JITTER)))
        for one in within or sorted(survey.feasible, key=lambda one: one.latency_ms)[:count]
    ]
    chosen: list[tuple[FeasibleTransformer, float]] = []
    while left and len(chosen) < count:
        taken = [_cut(one.shape) for one, _ in chosen]
        best = max(
            left, key=lambda pair: pair[1] - _PRICE_OF_LIKENESS * taken.count(_cut(pair[0].shape))
        )
        chosen.append(best)
        left.remove(best)
    return chosen


def _cut(shape: TransformerShape) -> tuple[int, int]:
    return shape.resolution, shape.patch


_ANY_SCALE = Quantisation(1.0, 0)  # costs do not depend on scales


class _Builder:
    """Appends operators; a tensor is named after the operator that computes it."""

    def __init__(self, image: Tensor) -> None:
        self.tensors = {image.name: image}
        self.operators: list[Operator] = []

    def add(self, name: str, attributes: Attributes, *inputs: str) -> str:
        shape = attributes.output_shape(*(self.tensors[source].shape for source in inputs))
        self.tensors[name] = Tensor(name, shape, _ANY_SCALE)
        self.operators.append(Operator(name, inputs, name, attributes))
        return name

    def linear(self, name: str, source: str, channels: int) -> str:
        layer = Convolution(Window(1, 1), channels, ternary=True, shared_scale=True)
        return self.add(name, layer, source)


def transformer_graph(shape: TransformerShape) -> Graph:
    """Build the graph of a vision transformer whose weights are all ternary.

    Raises:
        UnsupportedModelError: it has too many tokens or channels for integer arithmetic.
    """
    image = Tensor("input", (shape.resolution, shape.resolution, shape.in_channels), _ANY_SCALE)
    builder = _Builder(image)
    patches = Window(shape.patch, shape.patch, (shape.patch, shape.patch))
    tokens = builder.add("patches", Convolution(patches, shape.dim, ternary=True), "input")
    values = shape.tokens * shape.dim
    row = Rearrange("transpose", (1, shape.tokens, shape.dim), ((values, 1),))
    tokens = builder.add("patches_tokens", row, tokens)
    tokens = builder.add("tokens", AddConstant(None), tokens)
    for index in range(shape.depth):
        tokens = _block(builder, f"block{index}", tokens, shape)
    result = builder.add("norm", LayerNorm(None, None), tokens)
    result = builder.add("mean", AveragePool(Window(1, shape.tokens)), result)
    result = builder.linear("logits", result, shape.classes)
    return Graph(builder.tensors, tuple(builder.operators), "input", result)


def _block(builder: _Builder, name: str, tokens: str, shape: TransformerShape) -> str:
    result = builder.add(f"{name}.norm1", LayerNorm(None, None), tokens)
    result = builder.linear(f"{name}.qkv", result, 3 * shape.dim)
    heads = Attention(shape.heads, (shape.dim // shape.heads) ** -0.5)
    result = builder.add(f"{name}.attention", heads, result)
    result = builder.linear(f"{name}.projection", result, shape.dim)
    tokens = builder.add(f"{name}.sum1", Add(), tokens, result)
    result = builder.add(f"{name}.norm2", LayerNorm(None, None), tokens)
    result = builder.linear(f"{name}.hidden", result, shape.mlp_ratio * shape.dim)
    result = builder.add(f"{name}.gelu", Lookup("gelu", None), result)
    result = builder.linear(f"{name}.output", result, shape.dim)
    return builder.add(f"{name}.sum2", Add(), tokens, result)

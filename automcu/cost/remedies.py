"""What would fit instead of a network that does not: few changes, each with computed figures.

One thing is changed at a time, by the smallest step that keeps to all limits: the width, the
resolution, the depth, the bits of the weights, or the board.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from automcu.brief import NO_LIMITS, Limits
from automcu.compiler import Graph, compile_graph
from automcu.cost.architecture_graph import architecture_graph
from automcu.cost.estimation import estimate, estimate_program
from automcu.cost.records import Estimate, Limit, Remedy, Verdict
from automcu.cost.verdict import check
from automcu.cost.weight_bits import widths_below, with_weight_bits
from automcu.errors import WrongInputError
from automcu.mcu.profile import Device
from automcu.space import Architecture, Skeleton

# Widths, resolutions and depths as in the planner's grid, the largest first.
_WIDTHS = (48, 32, 24, 16, 12, 8, 6, 4)
_LOWEST_RESOLUTION = 8
_DEPTHS = (3, 2, 1)
_BOARDS_TRIED = 12
_BOARDS_NAMED = 2

Judge = Callable[[Estimate, Device], Verdict]


def architecture_remedies(
    architecture: Architecture,
    device: Device,
    boards: Iterable[Device],
    limits: Limits = NO_LIMITS,
) -> tuple[Remedy, ...]:
    """Return what would make the cell fit: at most one of each kind of change, and two boards.

    Fewer bits are those of the network once it is trained: `automcu compile --weights`.
    """
    judge = _judge(limits)
    found = []
    for steps in _smaller_skeletons(architecture.skeleton):
        for change, skeleton in steps:
            variant = Architecture(cell=architecture.cell, skeleton=skeleton)
            verdict = judge(estimate(variant, device), device)
            if verdict.fits:
                found.append(_remedy(change, verdict))
                break
    graph = architecture_graph(architecture)
    bits = bits_remedies(
        graph,
        lambda narrow: estimate_program(compile_graph(narrow, device), device),
        device,
        limits,
    )
    others = board_remedies(
        lambda board: estimate(architecture, board),
        device,
        boards,
        limits,
    )
    return (*found, *bits, *others)


def bits_remedies(
    graph: Graph,
    estimate_of: Callable[[Graph], Estimate],
    device: Device,
    limits: Limits = NO_LIMITS,
) -> tuple[Remedy, ...]:
    """Return the most bits of weights with which the network keeps the limits, if fewer help.

    They do where flash is the limit that is broken; what they cost in accuracy is not known here.
    """
    judge = _judge(limits)
    if {limit.limit for limit in judge(estimate_of(graph), device).limits} != {"flash"}:
        return ()
    for bits in widths_below(graph):
        verdict = judge(estimate_of(with_weight_bits(graph, bits)), device)
        if verdict.fits:
            return (_remedy(f"weights of {bits} bits", verdict),)
    return ()


def board_remedies(
    estimate_on: Callable[[Device], Estimate],
    device: Device,
    boards: Iterable[Device],
    limits: Limits = NO_LIMITS,
) -> tuple[Remedy, ...]:
    """Return the smallest other boards with figures on which the same network keeps the limits."""
    judge = _judge(limits)
    candidates = [one for one in boards if one.latency and one.id != device.id]
    candidates.sort(key=lambda one: (one.ram_bytes + one.flash_bytes, one.id))
    found: list[Remedy] = []
    for board in candidates[:_BOARDS_TRIED]:
        try:
            verdict = judge(estimate_on(board), board)
        except WrongInputError:  # a profile without all figures cannot be recommended
            continue
        if verdict.fits:
            found.append(_remedy(f"the board {board.id}", verdict))
        if len(found) == _BOARDS_NAMED:
            break
    return tuple(found)


def with_remedies(verdict: Verdict, remedies: Sequence[Remedy]) -> Verdict:
    """Return the verdict with a `help` in each broken limit that names what would fit."""
    limits = tuple(
        limit.model_copy(update={"help": _help(limit, remedies)}) for limit in verdict.limits
    )
    return verdict.model_copy(update={"limits": limits})


def _judge(limits: Limits) -> Judge:
    def judge(needed: Estimate, board: Device) -> Verdict:
        return check(needed, board, limits)

    return judge


def _smaller_skeletons(skeleton: Skeleton) -> Iterator[Iterator[tuple[str, Skeleton]]]:
    """Three ways down, each from the smallest change on."""
    yield (
        (f"stem of {width} channels", skeleton.model_copy(update={"stem_channels": width}))
        for width in _WIDTHS
        if width < skeleton.stem_channels
    )
    yield (
        (f"resolution {side}", skeleton.model_copy(update={"resolution": side}))
        for side in _halvings(skeleton.resolution)
    )
    yield (
        (
            f"{depth} cell{'s' if depth > 1 else ''} a stage",
            skeleton.model_copy(update={"cells_per_stage": depth}),
        )
        for depth in _DEPTHS
        if depth < skeleton.cells_per_stage
    )


def _halvings(resolution: int) -> Iterator[int]:
    while resolution // 2 >= _LOWEST_RESOLUTION:
        resolution //= 2
        yield resolution


def _remedy(change: str, verdict: Verdict) -> Remedy:
    needed = verdict.estimate
    return Remedy(
        change=change,
        device=verdict.device,
        flash_bytes=needed.flash_bytes,
        ram_bytes=needed.ram_bytes,
        latency_ms=needed.latency_ms,
        latency_percent=needed.latency_percent,
        energy_millijoule=needed.energy_millijoule,
    )


def _help(limit: Limit, remedies: Sequence[Remedy]) -> str:
    where = f"most of it is in {limit.layer}" if limit.layer else "it is spread evenly"
    if not remedies:
        return f"a larger board or looser limits: no single smaller step fits ({where})"
    listed = "; ".join(f"{one.change} ({_figure(limit, one)})" for one in remedies)
    return f"{listed} ({where})"


def _figure(limit: Limit, remedy: Remedy) -> str:
    if limit.limit == "latency":
        bar = "" if remedy.latency_percent is None else f" ± {remedy.latency_percent:.1f} %"
        return f"{remedy.latency_ms:.3g} ms{bar}"
    if limit.limit == "energy":
        return f"{remedy.energy_millijoule:.3g} mJ"
    size = remedy.flash_bytes if limit.limit == "flash" else remedy.ram_bytes
    return f"{size / 1024:.1f} KB"

"""What would fit instead of a network that does not: few changes, each with computed figures.

One thing is changed at a time, by the smallest step that keeps to all limits: the width, the
resolution, the depth, the bits of the weights, or the board.
"""

from collections.abc import Callable, Iterable, Sequence

from automcu.brief import NO_LIMITS, Limits
from automcu.compiler import Graph
from automcu.cost.records import Estimate, Limit, Remedy, Verdict
from automcu.cost.verdict import check
from automcu.cost.weight_bits import widths_below, with_weight_bits
from automcu.errors import WrongInputError
from automcu.mcu.profile import Device

_BOARDS_TRIED = 12
_BOARDS_NAMED = 2

Judge = Callable[[Estimate, Device], Verdict]


def bits_remedies(
    graph: Graph,
    estimate_of: Callable[[Graph], Estimate],
    device: Device,
    limits: Limits = NO_LIMITS,
) -> tuple[Remedy, ...]:
    """Return the most bits of weights with which the network keeps the limits, if fewer help.

    They do where flash is the limit that is broken; what they cost in accuracy is not known here.
    """
    judge = judge_by(limits)
    if {limit.limit for limit in judge(estimate_of(graph), device).limits} != {"flash"}:
        return ()
    for bits in widths_below(graph):
        verdict = judge(estimate_of(with_weight_bits(graph, bits)), device)
        if verdict.fits:
            return (remedy(f"weights of {bits} bits", verdict),)
    return ()


def board_remedies(
    estimate_on: Callable[[Device], Estimate],
    device: Device,
    boards: Iterable[Device],
    limits: Limits = NO_LIMITS,
) -> tuple[Remedy, ...]:
    """Return the smallest other boards with figures on which the same network keeps the limits."""
    judge = judge_by(limits)
    candidates = [one for one in boards if one.latency and one.id != device.id]
    candidates.sort(key=lambda one: (one.ram_bytes + one.flash_bytes, one.id))
    found: list[Remedy] = []
    for board in candidates[:_BOARDS_TRIED]:
        try:
            verdict = judge(estimate_on(board), board)
        except WrongInputError:  # a profile without all figures cannot be recommended
            continue
        if verdict.fits:
            found.append(remedy(f"the board {board.id}", verdict))
        if len(found) == _BOARDS_NAMED:
            break
    return tuple(found)


def with_remedies(verdict: Verdict, remedies: Sequence[Remedy]) -> Verdict:
    """Return the verdict with a `help` in each broken limit that names what would fit."""
    limits = tuple(
        limit.model_copy(update={"help": _help(limit, remedies)}) for limit in verdict.limits
    )
    return verdict.model_copy(update={"limits": limits})


def judge_by(limits: Limits) -> Judge:
    """Return what compares an estimate with a board and these limits."""

    def judge(needed: Estimate, board: Device) -> Verdict:
        return check(needed, board, limits)

    return judge


def remedy(change: str, verdict: Verdict) -> Remedy:
    """Return a change with what the changed network needs."""
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

"""Whether an estimate keeps to the device's and the brief's limits, and what would if not.

Remedies are few changes, each with computed figures. One thing is changed at a time, by the
smallest step that keeps to all limits: the bits of the weights, or the board; families of networks
have more.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from automcu.brief import NO_LIMITS, Limits
from automcu.compiler.graph import Graph
from automcu.compiler.low_bit_weights import WIDTHS, reducible_layers
from automcu.compiler.ops import Convolution
from automcu.cost.records import Estimate, LayerCost, Limit, Remedy, Verdict
from automcu.errors import WrongInputError
from automcu.mcu.profile import Device


def check(
    estimate: Estimate,
    device: Device,
    limits: Limits = NO_LIMITS,
) -> Verdict:
    """Compare an estimate with the device and with the limits that are given.

    RAM counts twice: all of it against the limit, and the arena alone against the one region
    that must hold it.
    """
    broken: list[Limit] = []
    flash = _smaller(device.flash_bytes, limits.flash_bytes)
    if estimate.flash_bytes > flash:
        heaviest = max(estimate.layers, key=lambda layer: layer.weight_bytes)
        known = estimate.flash_bytes - estimate.guesses.code_bytes
        broken.append(
            _limit("flash", estimate.flash_bytes, flash, heaviest, "fewer channels", known > flash)
        )
    ram = _smaller(device.ram_bytes, limits.ram_bytes)
    region = device.region_for("arena").size
    if estimate.ram_bytes > ram:
        broken.append(_limit("ram", estimate.ram_bytes, ram, _largest(estimate), _LESS_RAM))
    elif estimate.arena_bytes > region:
        broken.append(_limit("ram", estimate.arena_bytes, region, _largest(estimate), _LESS_RAM))
    per_inference = (
        ("latency", estimate.latency_ms, limits.latency_ms),
        ("energy", estimate.energy_millijoule, limits.energy_mj),
    )
    for name, needed, available in per_inference:
        if available is not None and needed > available:
            slowest = max(estimate.layers, key=lambda layer: layer.cycles)
            known_share = 1 - estimate.guesses.cycles / max(1, estimate.cycles)
            certain = needed * known_share > available
            broken.append(_limit(name, needed, available, slowest, "fewer or 1x1 layers", certain))
    return Verdict(device=device.id, fits=not broken, limits=tuple(broken), estimate=estimate)


_LESS_RAM = "a lower resolution or fewer channels"


def _smaller(available: int, limit: int | None) -> int:
    return available if limit is None else min(available, limit)


def _largest(estimate: Estimate) -> LayerCost:
    def size(layer: LayerCost) -> int:
        height, width, channels = layer.output_shape
        return height * width * channels

    return max(estimate.layers, key=size)


def _limit(
    name: str,
    needed: float,
    available: float,
    layer: LayerCost,
    remedy: str,
    certain: bool = True,
) -> Limit:
    return Limit.model_validate(
        {
            "limit": name,
            "needed": needed,
            "available": available,
            "layer": layer.name,
            "help": f"{remedy} (most of it is in {layer.name}), or a larger board",
            "certain": certain,
        }
    )


def miss(limit: Limit) -> str:
    """Say by how much a network misses a limit."""
    over = limit.needed - limit.available
    if limit.limit == "latency":
        return (
            f"the latency limit by {over:.3g} ms (it takes {limit.needed:.3g} ms, "
            f"allowed are {limit.available:.3g})"
        )
    if limit.limit == "energy":
        return (
            f"the energy limit by {over:.3g} mJ (it takes {limit.needed:.3g} mJ, modelled; "
            f"allowed are {limit.available:.3g})"
        )
    return (
        f"the {limit.limit} limit by {over:,.0f} bytes (it needs {limit.needed:,.0f}, "
        f"allowed are {limit.available:,.0f})"
    )


def with_weight_bits(graph: Graph, bits: int) -> Graph:
    """The graph whose layers have weights of `bits`, those that `--weights BITS` reduces.

    Layers that have fewer already keep theirs. The weights themselves stay as they are, or missing:
    the result is there to be costed, not to be run.
    """
    chosen = set(reducible_layers(graph)[1:-1])

    def reduced(attributes: Convolution) -> Convolution:
        return replace(attributes, weight_bits=min(bits, attributes.weight_bits))

    return replace(
        graph,
        operators=tuple(
            replace(operator, attributes=reduced(operator.attributes))
            if operator.name in chosen and isinstance(operator.attributes, Convolution)
            else operator
            for operator in graph.operators
        ),
    )


def widths_below(graph: Graph) -> tuple[int, ...]:
    """The widths that would reduce some layer of the graph, the widest first."""
    layers = set(reducible_layers(graph)[1:-1])
    widest = max(
        (
            operator.attributes.weight_bits
            for operator in graph.operators
            if operator.name in layers and isinstance(operator.attributes, Convolution)
        ),
        default=0,
    )
    return tuple(bits for bits in WIDTHS if bits < widest)


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

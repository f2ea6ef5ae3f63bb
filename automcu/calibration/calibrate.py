"""Fitting a profile's latency figures to the board at hand, and what that gains."""

import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import numpy as np

from automcu.boards.discovery import VIRTUAL
from automcu.calibration.networks import HELD_OUT, arena_limit_bytes, calibration_graphs
from automcu.calibration.observe import Observed, observe
from automcu.compiler.compile import Choose, candidates, choose_kernel, is_fitted, work_of
from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernel import Kernel
from automcu.cost.latency import Fit, Observation, fit, layer_cycles, robust_fit
from automcu.mcu.profile import Device, Latency
from automcu.records import Record
from automcu.toolchains import find_compiler

_THREADS = 2  # virtual boards at a time; a real one can only run one network

Progress = Callable[[int, int], None]


class NetworkErrors(Record):
    """How far modelled latency is from the board's on networks kept out of the fit, in percent."""

    median_percent: float
    worst_percent: float


class Calibration(Record):
    """Latency figures fitted to a board; `before` is None where the profile had none."""

    device: str
    board: str
    networks: int
    before: NetworkErrors | None
    after: NetworkErrors
    latency: Latency


def calibrate(
    device: Device, board: str, chains: int, networks: int, progress: Progress | None = None
) -> Calibration:
    """Run microbenchmarks on `board` ("virtual" or a port) and bring the profile's figures near.

    There are more figures than a board runs layers in sensible time: those of a kind of work keep
    their proportions and are scaled together, by what the board takes. A profile without figures
    gets what a fit to these layers finds. Kernels are drawn by lot, so that all take part; the
    networks that judge the figures have the kernels that the new ones choose.

    Raises:
        BoardError: the board fails, or computes something else than the integer reference.
        ToolError: there is no compiler.
    """
    graphs = calibration_graphs(chains, networks)
    judges = len(graphs) - HELD_OUT

    def count(before: int) -> Progress | None:
        return progress and (lambda done, _: progress(before + done, len(graphs)))

    fitted_to = observe_all(graphs[:judges], device, board, count(0), varied_choice)
    compiler = find_compiler(device.core)
    layers = [layer for network in fitted_to for layer in network.cycles]
    old = next((one for one in device.latency if one.compiler == compiler.kind), None)
    known = dict(old.coefficients) if old else {}
    fitted = scaled(known, layers) if known else fit(layers)
    latency = Latency(
        source=fitted_to[0].source,
        date=_today(),
        compiler=compiler.kind,
        compiler_version=compiler.version,
        residual_percent=round(fitted.residual_percent, 1),
        network_cycles=old.network_cycles if old else 0,  # small networks are not among ours
        coefficients=fitted.coefficients,
    )
    judge = with_figures(device, latency)
    held_out = observe_all(graphs[judges:], judge, board, count(judges))
    after = network_errors(fitted.coefficients, held_out)
    return Calibration(
        device=device.id,
        board=board,
        networks=len(graphs),
        before=network_errors(known, held_out) if known else None,
        after=after,
        latency=latency.model_copy(update={"network_percent": round(after.worst_percent, 1)}),
    )


def scaled(known: Mapping[str, float], layers: Sequence[Observation]) -> Fit:
    """The figures of each kind of work times a factor, so that layers take what was observed.

    Layers with work that has no figures are left out. Each factor is drawn to the board's usual one
    as by one more layer, so that kinds with few layers do not stray.
    """
    known_layers = [one for one in layers if is_fitted(one.kernel, known, one.callers)]
    if not known_layers:
        return Fit(dict(known), 0.0)
    kinds = sorted({_kind_of_work(name) for name in known})
    parts = np.zeros((len(known_layers), len(kinds)))
    for row, layer in zip(parts, known_layers, strict=True):
        for name, amount in work_of(layer.kernel, layer.callers).items():
            row[kinds.index(_kind_of_work(name))] += known[name] * amount / layer.cycles
    usual = 1 / float(np.median(parts.sum(axis=1)))
    usual_parts = np.vstack([usual * parts, np.eye(len(kinds))])
    factors = usual * robust_fit(usual_parts)
    errors = np.abs(parts @ factors - 1)
    return Fit(
        {name: value * factors[kinds.index(_kind_of_work(name))] for name, value in known.items()},
        100 * float(errors.max()),
    )


def _kind_of_work(name: str) -> str:
    """What figures are scaled together: those of one category of kernels, or of shared code."""
    return name.rpartition("/")[0]


def _usual_choice(_: int) -> Choose:
    return choose_kernel


def observe_all(
    graphs: Sequence[Graph],
    device: Device,
    board: str,
    progress: Progress | None = None,
    choice: Callable[[int], Choose] = _usual_choice,
) -> list[Observed]:
    """Build and run each graph; its position is the seed of its weights and of its `choice`."""
    seen: list[Observed] = []
    pool = ThreadPoolExecutor(_THREADS if board == VIRTUAL else 1)
    try:
        runs = pool.map(
            lambda job: observe(
                job[1], device, board, job[0], arena_limit_bytes(job[0]), choice(job[0])
            ),
            enumerate(graphs),
        )
        for one in runs:
            seen.append(one)
            if progress:
                progress(len(seen), len(graphs))
    finally:
        pool.shutdown(cancel_futures=True)  # stopped, it ends with the networks that are running
    return seen


def with_figures(device: Device, latency: Latency) -> Device:
    """The device with these figures for their compiler, and only these."""
    return device.model_copy(update={"latency": (latency,)})


def network_errors(
    coefficients: Mapping[str, float], networks: Sequence[Observed]
) -> NetworkErrors:
    """Compare modelled with observed cycles of whole networks."""
    errors = []
    for network in networks:
        modelled = sum(
            layer_cycles(layer.kernel, coefficients, layer.callers) for layer in network.cycles
        )
        errors.append(100 * abs(modelled / sum(layer.cycles for layer in network.cycles) - 1))
    return NetworkErrors(
        median_percent=round(float(np.median(errors)), 2), worst_percent=round(max(errors), 2)
    )


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


_LAST_RESORT = 0.3  # portable kernels beside special ones are slow, and networks have others


def varied_choice(seed: int) -> Choose:
    """A choice by lot among the kernels that can carry out an operator; equal seeds, equal lots."""

    def choose(operator: Operator, graph: Graph, device: Device) -> Kernel:
        def draw(operator: Operator, graph: Graph) -> Kernel:
            *special, portable = candidates(operator, graph, device)
            weights = [1.0] * len(special) + [_LAST_RESORT]
            lots = random.Random(f"{seed} {operator.name}")
            return lots.choices([*special, portable], weights)[0]

        return operator.attributes.chosen_kernel(operator, graph, draw)

    return choose

"""The whole space in one skeleton on one device: which cells fit, and what stops the rest.

Cells that leave the same live edges are one network, so each such network is compiled once, on
all processors.
"""

import os
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

from automcu.cost.estimate import estimate
from automcu.cost.records import Estimate, FeasibleCell, Survey
from automcu.cost.verdict import check
from automcu.devices.profile import Device
from automcu.space import Architecture, Cell, Operation, Skeleton, accuracy_prior, all_cells

_Edges = tuple[Operation, ...]
_MOST_COMPILED_CELLS = 2  # deeper stages repeat the second cell: same kernels, same memory
_LIGHTEST = Cell(("none", "none", "none", "skip_connect", "none", "none"))
_NETWORKS_PER_TASK = 128


@dataclass(frozen=True)
class _Cost:
    """Totals of one network: what a verdict looks at, without the layers."""

    latency_ms: float
    flash_bytes: int
    ram_bytes: int
    arena_bytes: int


def survey(
    device: Device,
    skeleton: Skeleton,
    max_latency_ms: float | None = None,
    max_ram_bytes: int | None = None,
    max_flash_bytes: int | None = None,
) -> Survey:
    """Judge every cell of the space in `skeleton`; takes seconds.

    Raises:
        WrongInputError: there are no latency figures or code sizes for the device.
    """
    start = time.perf_counter()
    limits = (max_latency_ms, max_ram_bytes, max_flash_bytes)
    connected = [(index, cell) for index, cell in enumerate(all_cells()) if cell.is_connected]
    live = {index: cell.without_dead_edges().edges for index, cell in connected}
    costs = _costs_of(sorted(set(live.values())), device, skeleton)
    broken = {edges: _broken_limits(cost, device, *limits) for edges, cost in costs.items()}
    excluded = Counter(limit for edges in live.values() for limit in broken[edges])
    feasible = [
        _feasible_cell(index, cell, costs[live[index]])
        for index, cell in connected
        if not broken[live[index]]
    ]
    feasible.sort(key=lambda cell: (-(cell.prior or 0.0), cell.latency_ms, cell.index))
    lightest = estimate(Architecture(cell=str(_LIGHTEST), skeleton=skeleton), device)
    return Survey(
        device=device.id,
        skeleton=skeleton,
        cells=len(all_cells()),
        feasible=len(feasible),
        disconnected=len(all_cells()) - len(connected),
        excluded=dict(excluded),
        seconds=time.perf_counter() - start,
        feasible_cells=tuple(feasible),
        front=_front(feasible),
        smallest=check(lightest, device, *limits),
    )


def _costs_of(networks: list[_Edges], device: Device, skeleton: Skeleton) -> dict[_Edges, _Cost]:
    """Compile each network; the processes are started afresh, as torch may hold threads here."""
    cost = partial(_network_cost, device=device, skeleton=skeleton)
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        found = pool.map(cost, networks, chunksize=_NETWORKS_PER_TASK)
        return dict(zip(networks, found, strict=True))


def _network_cost(edges: _Edges, device: Device, skeleton: Skeleton) -> _Cost:
    """Cost of one network, extrapolated from two shallower ones where the skeleton is deep."""
    depth = skeleton.cells_per_stage
    cell = str(Cell(edges))

    def at(cells: int) -> Estimate:
        shallow = skeleton.model_copy(update={"cells_per_stage": cells})
        return estimate(Architecture(cell=cell, skeleton=shallow), device)

    if depth <= _MOST_COMPILED_CELLS:
        return _totals(at(depth))
    deepest = at(_MOST_COMPILED_CELLS)
    before = at(_MOST_COMPILED_CELLS - 1)
    repeats = depth - _MOST_COMPILED_CELLS
    return _Cost(
        latency_ms=deepest.latency_ms + repeats * (deepest.latency_ms - before.latency_ms),
        flash_bytes=deepest.flash_bytes + repeats * (deepest.flash_bytes - before.flash_bytes),
        ram_bytes=deepest.ram_bytes,
        arena_bytes=deepest.arena_bytes,
    )


def _totals(estimate: Estimate) -> _Cost:
    return _Cost(
        estimate.latency_ms, estimate.flash_bytes, estimate.ram_bytes, estimate.arena_bytes
    )


def _broken_limits(
    cost: _Cost,
    device: Device,
    max_latency_ms: float | None,
    max_ram_bytes: int | None,
    max_flash_bytes: int | None,
) -> tuple[str, ...]:
    checks = {
        "flash": cost.flash_bytes > min(device.flash_bytes, max_flash_bytes or device.flash_bytes),
        "ram": cost.ram_bytes > min(device.ram_bytes, max_ram_bytes or device.ram_bytes)
        or cost.arena_bytes > device.region_for("arena").size,
        "latency": max_latency_ms is not None and cost.latency_ms > max_latency_ms,
    }
    return tuple(name for name, breaks in checks.items() if breaks)


def _feasible_cell(index: int, cell: Cell, cost: _Cost) -> FeasibleCell:
    return FeasibleCell(
        index=index,
        architecture=str(cell),
        prior=accuracy_prior().accuracy(cell),
        latency_ms=cost.latency_ms,
        flash_bytes=cost.flash_bytes,
        ram_bytes=cost.ram_bytes,
    )


def _front(by_prior: list[FeasibleCell]) -> tuple[FeasibleCell, ...]:
    """The cells that no other beats in prior, latency and flash at once; best prior first."""
    front: list[FeasibleCell] = []
    for cell in by_prior:
        beaten = any(
            other.latency_ms <= cell.latency_ms and other.flash_bytes <= cell.flash_bytes
            for other in front
        )
        if not beaten:
            front.append(cell)
    return tuple(front)

"""The whole space in one skeleton on one device: which cells fit, and what stops the rest.

The network around the cells is compiled once, with cells that are skip connections and so vanish;
what cells add follows from the counts of `structure` and the cost of each kind of layer in each
stage of the skeleton. Tests hold the sums against compiling whole networks. Of a cell that does not
fit, smaller skeletons are tried one by one.
"""

import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from automcu.brief import NO_LIMITS, Limits
from automcu.compiler import compile_graph
from automcu.compiler.compile import choose_kernel
from automcu.compiler.kernel import Kernel
from automcu.cost.code_size import LayerBytes, function_bytes, layer_bytes, shared_bytes
from automcu.cost.estimation import RAM_BYTES_PER_LAYER, estimate_program
from automcu.cost.latency import latency_of, layer_cycles
from automcu.cost.records import Remedy
from automcu.cost.verdict import bits_remedies, check, judge_by, remedy
from automcu.mcu.profile import Device
from automcu.networks.cells.accuracies import AccuracyTable, accuracy_prior
from automcu.networks.cells.cell import Cell, all_cells
from automcu.networks.cells.graph import LAST_NORMALISATION, architecture_graph
from automcu.networks.cells.skeleton import (
    Architecture,
    FeasibleCell,
    Skeleton,
    Stage,
    Survey,
    stages,
)
from automcu.networks.cells.structure import KINDS, cell_structures, kind_layer, overwrites
from automcu.networks.estimate import estimate, other_boards
from automcu.toolchains import find_compiler

_ALIGNMENT = 4


@dataclass(frozen=True)
class StageCosts:
    """One layer of each kind in one stage; arrays [kinds]. Bytes and cycles.

    `functions` name the kernels' C functions, whose code (`function_bytes`) is shared by all
    layers of a shape; `weight_bytes` are those of each layer, `layers` its parameters and call.
    `shared_bytes` are sizes of functions that kernels of several shapes call, by name, those of
    each kind.
    `shared_cycles` are those of one of several layers with the same function.
    """

    functions: tuple[str, ...]
    function_bytes: NDArray[np.float64]
    weight_bytes: NDArray[np.int64]
    layers: tuple[LayerBytes, ...]
    shared_bytes: tuple[dict[str, float], ...]
    cycles: NDArray[np.int64]
    shared_cycles: NDArray[np.int64]
    scratch_bytes: NDArray[np.int64]
    tensor_bytes: int
    kernels: str


def stage_costs(skeleton: Skeleton, device: Device, compiler: str) -> tuple[StageCosts, ...]:
    """Costs for every stage of `skeleton` on `device`.

    Raises:
        WrongInputError: there are no latency figures or code sizes for the device.
    """
    coefficients = latency_of(device, compiler).coefficients
    costs = []
    for stage in stages(skeleton):
        kernels = [_kernel(kind, stage, skeleton.ternary, device) for kind in KINDS]
        size = stage.resolution**2 * stage.channels
        costs.append(
            StageCosts(
                functions=tuple(kernel.function for kernel in kernels),
                function_bytes=np.array(
                    [function_bytes(kernel, device, compiler) for kernel in kernels]
                ),
                weight_bytes=np.array([kernel.weight_bytes for kernel in kernels]),
                layers=tuple(layer_bytes(kernel, device, compiler) for kernel in kernels),
                shared_bytes=tuple(shared_bytes(kernel, device, compiler) for kernel in kernels),
                cycles=np.array([layer_cycles(kernel, coefficients) for kernel in kernels]),
                shared_cycles=np.array([layer_cycles(one, coefficients, 2) for one in kernels]),
                scratch_bytes=np.array([_aligned(kernel.scratch_bytes) for kernel in kernels]),
                tensor_bytes=_aligned(size),
                kernels=_family(kernels),
            )
        )
    return tuple(costs)


def _kernel(kind: str, stage: Stage, ternary: bool, device: Device) -> Kernel:
    shape = (stage.resolution, stage.resolution, stage.channels)
    return choose_kernel(*kind_layer(kind, shape, ternary), device)


def _family(kernels: list[Kernel]) -> str:
    """Which table of memory counts holds: that of kernels with these rights to overwrite."""
    rights = {kind: k.overwrites for kind, k in zip(KINDS, kernels, strict=True)}
    for family, allowed in overwrites().items():
        if rights == allowed:
            return family
    # Mixed kernels (a width that the special ones do not take): a table that allows no more.
    return next(
        (
            family
            for family, allowed in overwrites().items()
            if all(set(allowed[kind]) <= set(rights[kind]) for kind in KINDS)
        ),
        "portable",
    )


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


LIGHTEST = Cell(("none", "none", "none", "skip_connect", "none", "none"))


@dataclass(frozen=True)
class SpaceCosts:
    """Costs of all distinct networks in one skeleton; arrays follow `CellStructures.networks`."""

    latency_ms: NDArray[np.float64]
    flash_bytes: NDArray[np.int64]
    ram_bytes: NDArray[np.int64]
    arena_bytes: NDArray[np.int64]


def survey(
    device: Device,
    skeleton: Skeleton,
    limits: Limits = NO_LIMITS,
    prior: AccuracyTable | None = None,
) -> Survey:
    """Judge every cell of the space in `skeleton`; `prior` defaults to the embedded table.

    Raises:
        WrongInputError: there are no latency figures or code sizes for the device.
        ToolError: the embedded table is missing.
    """
    start = time.perf_counter()
    prior = accuracy_prior() if prior is None else prior
    costs = space_costs(device, skeleton)
    broken = {
        "flash": costs.flash_bytes > min(device.flash_bytes, limits.flash_bytes or np.inf),
        "ram": (costs.ram_bytes > min(device.ram_bytes, limits.ram_bytes or np.inf))
        | (costs.arena_bytes > device.region_for("arena").size),
        "latency": costs.latency_ms > (np.inf if limits.latency_ms is None else limits.latency_ms),
        "energy": costs.latency_ms * device.power.watt
        > (np.inf if limits.energy_mj is None else limits.energy_mj),
    }
    fits = ~np.any(list(broken.values()), axis=0)
    connected = _connected_cells()
    rows = np.array([cell.row for cell in connected])
    excluded = {name: int(breaks[rows].sum()) for name, breaks in broken.items()}
    feasible = _feasible_cells(
        [cell for cell, kept in zip(connected, fits[rows], strict=True) if kept], costs, prior
    )
    feasible.sort(key=lambda cell: (-(cell.prior or 0.0), cell.latency_ms, cell.index))
    lightest = compile_graph(
        architecture_graph(Architecture(cell=str(LIGHTEST), skeleton=skeleton)), device
    )
    return Survey(
        device=device.id,
        skeleton=skeleton,
        cells=len(all_cells()),
        feasible=len(feasible),
        disconnected=len(all_cells()) - len(connected),
        excluded={name: count for name, count in excluded.items() if count},
        seconds=time.perf_counter() - start,
        feasible_cells=tuple(feasible),
        front=_front(feasible),
        smallest=check(
            estimate_program(lightest, device),
            device,
            limits,
        ),
    )


def space_costs(device: Device, skeleton: Skeleton) -> SpaceCosts:
    """Cost of every distinct network of the space in `skeleton`."""
    compiler = find_compiler(device.core).kind
    skip = architecture_graph(Architecture(cell=str(LIGHTEST), skeleton=skeleton))
    around = compile_graph(skip, device)
    base = estimate_program(around, device)
    known = Counter(kernel.function for kernel in around.kernels.values())
    there = {name for kernel in around.functions for name in kernel.shared_functions}
    counts = cell_structures("portable").counts
    cycles = np.full(len(counts), base.cycles, np.int64)
    flash = np.full(len(counts), float(base.flash_bytes))
    arena = np.full(len(counts), base.arena_bytes, np.int64)
    layers = np.zeros(len(counts), np.int64)
    weights = np.zeros(len(counts), np.int64)  # beside those of the base
    called: dict[str, NDArray[np.bool_]] = {}  # which networks call a shared function
    for stage in stage_costs(skeleton, device, compiler):
        layers += skeleton.cells_per_stage * counts.sum(axis=1)
        new = np.array([function not in known for function in stage.functions])
        flash += (counts > 0) @ (stage.function_bytes * new)
        for kind, shared in enumerate(stage.shared_bytes):
            for name in shared.keys() - there:
                calls = called.setdefault(name, np.zeros(len(counts), bool))
                flash += shared[name] * ((counts[:, kind] > 0) & ~calls)
                calls |= counts[:, kind] > 0
        weights += skeleton.cells_per_stage * (counts @ stage.weight_bytes)
        for kind, function in enumerate(stage.functions):
            before = np.array(known[function])
            added = skeleton.cells_per_stage * counts[:, kind]
            after = before + added
            alone, shared = stage.cycles[kind], stage.shared_cycles[kind]
            cycles += np.where(after > 1, added * shared, added * alone)
            if before == 1:  # it has company now
                cycles += (after > 1) * (shared - alone)
            flash += stage.layers[kind].of(after) - stage.layers[kind].of(before)
        np.maximum(arena, _peaks(stage), out=arena)
    folded = cell_structures("portable").folds
    layers -= folded
    head = around.kernels[LAST_NORMALISATION]
    cycles -= folded * layer_cycles(head, latency_of(device, compiler).coefficients)
    weights -= folded * head.weight_bytes
    flash += weights
    flash -= folded * (
        layer_bytes(head, device, compiler).alone + function_bytes(head, device, compiler)
    )
    ram = arena + (base.ram_bytes - base.arena_bytes) + RAM_BYTES_PER_LAYER * layers
    return SpaceCosts(
        latency_ms=1e3 * cycles / device.clock_hz,
        flash_bytes=np.rint(flash).astype(np.int64),
        ram_bytes=ram + weights if device.weights_in_ram else ram,
        arena_bytes=arena,
    )


def _peaks(stage: StageCosts) -> NDArray[np.int64]:
    """Most bytes that each network's cells take at once in this stage, in their best order."""
    tensors = cell_structures(stage.kernels).tensors
    needed = np.where(tensors > 0, tensors * stage.tensor_bytes + stage.scratch_bytes, 0)
    return np.asarray(needed.max(axis=2).min(axis=1))


@dataclass(frozen=True)
class _ConnectedCell:
    """A cell, how it is written, and its row in `SpaceCosts`."""

    index: int
    text: str
    row: int


@cache
def _connected_cells() -> tuple[_ConnectedCell, ...]:
    """The same for every survey, and half of a survey's time."""
    networks = cell_structures("portable").networks
    return tuple(
        _ConnectedCell(index, str(cell), networks[cell.without_dead_edges().edges])
        for index, cell in enumerate(all_cells())
        if cell.is_connected
    )


def _feasible_cells(
    cells: list[_ConnectedCell], costs: SpaceCosts, prior: AccuracyTable
) -> list[FeasibleCell]:
    latency, flash = costs.latency_ms.tolist(), costs.flash_bytes.tolist()
    ram, accuracies = costs.ram_bytes.tolist(), prior.accuracies.tolist()
    return [
        FeasibleCell.model_construct(
            index=cell.index,
            architecture=cell.text,
            prior=None if math.isnan(accuracies[cell.index]) else accuracies[cell.index],
            latency_ms=latency[cell.row],
            flash_bytes=flash[cell.row],
            ram_bytes=ram[cell.row],
        )
        for cell in cells
    ]


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


# Widths, resolutions and depths as in the planner's grid, the largest first.
_WIDTHS = (48, 32, 24, 16, 12, 8, 6, 4)
_LOWEST_RESOLUTION = 8
_DEPTHS = (3, 2, 1)


def architecture_remedies(
    architecture: Architecture,
    device: Device,
    boards: Iterable[Device],
    limits: Limits = NO_LIMITS,
) -> tuple[Remedy, ...]:
    """Return what would make the cell fit: at most one of each kind of change, and two boards.

    Fewer bits are those of the network once it is trained: `automcu compile --weights`.
    """
    judge = judge_by(limits)
    found = []
    for steps in _smaller_skeletons(architecture.skeleton):
        for change, skeleton in steps:
            variant = Architecture(cell=architecture.cell, skeleton=skeleton)
            verdict = judge(estimate(variant, device), device)
            if verdict.fits:
                found.append(remedy(change, verdict))
                break
    graph = architecture_graph(architecture)
    bits = bits_remedies(
        graph,
        lambda reduced: estimate_program(compile_graph(reduced, device), device),
        device,
        limits,
    )
    return (*found, *bits, *other_boards(architecture, device, boards, limits))


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

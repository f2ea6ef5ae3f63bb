"""Fitting a profile's latency figures to the board at hand, and what that gains.

Costs are read from boards and from linked firmwares.
"""

import random
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from elftools.elf.elffile import ELFFile
from numpy.typing import NDArray

from automcu.boards.bench import bench_project
from automcu.boards.discovery import VIRTUAL
from automcu.boards.xtensa import differing_bytes, run_project
from automcu.calibration.networks import (
    HELD_OUT,
    arena_limit_bytes,
    calibration_graphs,
    with_random_weights,
)
from automcu.compiler import Program, compile_graph, write_project
from automcu.compiler.compile import Choose, candidates, choose_kernel, is_fitted, work_of
from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernel import Kernel
from automcu.cost.code_size import RuntimeSize
from automcu.cost.estimation import RAM_BYTES_PER_LAYER
from automcu.cost.latency import Fit, Observation, fit, layer_cycles, robust_fit
from automcu.errors import BoardError
from automcu.mcu.core import core_named
from automcu.mcu.profile import Device, Latency
from automcu.records import Record
from automcu.toolchains import DEFAULT_STACK_BYTES, Build, build_project, find_compiler

Source = Literal["virtual", "measured"]

_FUNCTION, _THUMB = "STT_FUNC", 1  # of symbols: their type, and the bit that is no address
_TABLE_ENTRY_BYTES = 4  # the layer's function pointer


@dataclass(frozen=True)
class CodeObservation:
    """Bytes that one kernel's functions, or one layer's call and parameters, take in an ELF.

    `callers` are the layers that call the kernel's function.
    """

    kernel: Kernel
    code_bytes: int
    callers: int = 1


@dataclass(frozen=True)
class Observed:
    """One network on one board: cycles by layer, code by kernel and layer, and the rest.

    `shared` are the bytes of functions that several kernels call, by name.
    """

    cycles: tuple[Observation, ...]
    kernels: tuple[CodeObservation, ...]
    layers: tuple[CodeObservation, ...]
    shared: Mapping[str, int]
    runtime: RuntimeSize
    source: Source


def observe(
    graph: Graph,
    device: Device,
    board: str,
    seed: int,
    arena_limit_bytes: int | None = None,
    choose: Choose = choose_kernel,
) -> Observed:
    """Build `graph` with random weights, run it on `board`, read cycles and symbol sizes.

    With a limit on the arena, layers run some rows at a time where that brings it nearer.

    Raises:
        BoardError: the board fails, or its outputs differ from the integer reference.
    """
    program = compile_graph(with_random_weights(graph, seed), device, arena_limit_bytes, choose)
    inputs = _inputs(program, seed)
    with tempfile.TemporaryDirectory() as folder:
        linked = _linked(program, device, Path(folder), inputs)
        run = _run_emulated if core_named(device.core).qemu and board == VIRTUAL else _run_on_board
        wrong, cycles, source = run(Path(folder), device, board)
    if wrong:
        raise BoardError(
            f"{device.id} and the integer reference disagree on network {seed}. "
            "Report this as a bug."
        )
    return _observed(linked, cycles, source)


def _run_on_board(project: Path, device: Device, board: str) -> tuple[bool, list[int], Source]:
    """Whether outputs are wrong, and the cycles of each layer."""
    found = bench_project(project, device, board)
    source: Source = "measured" if found.latency_source == "measured" else "virtual"
    return found.mismatches > 0, [layer.cycles for layer in found.layers], source


def _run_emulated(project: Path, device: Device, board: str) -> tuple[bool, list[int], Source]:
    """The same where the virtual board is QEMU's core, without memories and serial line."""
    cycles = [layer.cycles for layer in run_project(project).layers]
    return differing_bytes(project) > 0, cycles, "virtual"


def observe_code(
    graph: Graph,
    device: Device,
    seed: int,
    arena_limit_bytes: int | None = None,
    choose: Choose = choose_kernel,
) -> Observed:
    """Build `graph` with random weights and read symbol sizes; no layer has cycles."""
    program = compile_graph(with_random_weights(graph, seed), device, arena_limit_bytes, choose)
    with tempfile.TemporaryDirectory() as folder:
        linked = _linked(program, device, Path(folder), _inputs(program, seed))
    return _observed(linked, [], "virtual")


@dataclass(frozen=True)
class _Linked:
    program: Program
    build: Build
    symbols: Mapping[str, int]
    weights_in_ram: bool


def _inputs(program: Program, seed: int) -> NDArray[np.int8]:
    shape = program.graph.tensors[program.graph.input].shape
    return np.random.default_rng(seed).integers(-128, 128, (1, *shape), dtype=np.int8)


def _linked(program: Program, device: Device, project: Path, inputs: NDArray[np.int8]) -> _Linked:
    write_project(program, device.id, project, golden_inputs=inputs)
    build = build_project(project, device, find_compiler(device.core))
    return _Linked(program, build, _symbol_sizes(project / build.elf), device.weights_in_ram)


def _observed(linked: _Linked, cycles: list[int], source: Source) -> Observed:
    program, build, symbols = linked.program, linked.build, linked.symbols
    kernels = [program.kernels[operator.name] for operator in program.graph.operators]
    owners = {kernel.function: kernel for kernel in program.functions}
    functions = dict.fromkeys(owners, 0)
    for symbol, size in symbols.items():
        owner = _owner(symbol, owners)
        if owner is not None:
            functions[owner] += size
    callers = Counter(kernel.function for kernel in kernels)
    layers = [
        symbols.get(f"layer_{index}", 0) + symbols[f"run_layer_{index}"] + _TABLE_ENTRY_BYTES
        for index in range(len(kernels))
    ]
    plain = Counter[str]()
    for symbol, size in symbols.items():
        plain[_plain(symbol)] += size
    for name, kernel in owners.items():
        for helper in kernel.helpers:
            users = sum(helper in one.helpers for one in owners.values())
            functions[name] += plain[helper] // users
    # A compiler may have put a shared function into its only caller: then it has no symbol.
    shared = {
        name: plain[name]
        for kernel in program.functions
        for name in kernel.shared_functions
        if name in plain
    }
    code = sum(functions.values()) + sum(layers) + sum(shared.values())
    rest = build.flash_bytes - program.weight_bytes - code
    return Observed(
        cycles=tuple(
            Observation(k, c, callers[k.function])
            for k, c in zip(kernels, cycles, strict=bool(cycles))
        ),
        kernels=tuple(CodeObservation(owners[name], size) for name, size in functions.items()),
        layers=tuple(
            CodeObservation(k, size, callers[k.function])
            for k, size in zip(kernels, layers, strict=True)
        ),
        shared=shared,
        runtime=RuntimeSize(
            flash_bytes=rest,
            ram_bytes=build.ram_bytes
            - build.arena_bytes
            - (program.weight_bytes if linked.weights_in_ram else 0)
            - RAM_BYTES_PER_LAYER * len(kernels)
            - DEFAULT_STACK_BYTES,
        ),
        source=source,
    )


def read_code(program: Program, build: Build, elf: Path) -> Observed:
    """Symbol sizes of a linked program for which there are no cycles."""
    return _observed(_Linked(program, build, _symbol_sizes(elf), False), [], "virtual")


def _owner(symbol: str, functions: Mapping[str, Kernel]) -> str | None:
    """The kernel that a function belongs to: itself, or the longest name that it continues."""
    name = _plain(symbol)
    matches = [f for f in functions if name == f or name.startswith(f"{f}_")]
    return max(matches, key=len, default=None)


def _plain(symbol: str) -> str:
    """A symbol without what compilers append: .constprop.0 or $constprop$0."""
    return re.split(r"[.$]", symbol)[0]


def _symbol_sizes(path: Path) -> dict[str, int]:
    """Bytes of each symbol; a function's with the constants and the padding just before it.

    On Xtensa the constants that a function loads lie there, without a symbol.
    """
    with path.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        found = sorted(table.iter_symbols(), key=lambda one: int(one["st_value"]))
    sizes: dict[str, int] = {}
    ends: dict[object, int] = {}  # by section
    for symbol in found:
        section, size = symbol["st_shndx"], int(symbol["st_size"])
        start = int(symbol["st_value"]) & ~_THUMB
        before = start - ends.get(section, start) if symbol["st_info"]["type"] == _FUNCTION else 0
        sizes[symbol.name] = size + max(before, 0)
        ends[section] = max(ends.get(section, 0), start + size)
    return sizes


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

"""How exact estimates are: cells and own models, on all boards with latency figures, built and run.

    python -m benchmarks.exactness [--cells N] [--timed N] [--device ID] [--quick] [--json]

Draws cells, skeletons and boards at random; after them come the networks of MLPerf Tiny (from
`$AUTOMCU_DATA/mlperf_tiny` or `../shared/data/mlperf_tiny`; left out with a word where they are
missing), the public shapes of benchmarks/public_networks.py with random weights, and random graphs
over all operators, each on one board in turn. (A graph with a layer that gives one value whatever
the input is not among them: compilers leave such a layer out.) Each network is estimated, then
compiled and linked, and the ELF read: weights and arena must be equal to the byte and all of the
flash within 2 %. Some of the cells and all but the largest own models also run on the virtual
board: of those that an error bar was printed for 95 % must be within it. Both are models of time:
nothing here was measured on silicon. `benchmarks/exactness.csv` holds the rows of a full run. The
exit code is 1 where a bound is missed. (That the graph of a cell that is estimated is also the one
that a trained network's export becomes is what tests/networks holds.)
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count, cycle, islice
from pathlib import Path

import numpy as np
import pandas as pd

from automcu.boards.bench import bench_project
from automcu.boards.discovery import VIRTUAL
from automcu.boards.xtensa import can_emulate
from automcu.calibration.networks import with_random_weights
from automcu.compiler import Graph, compile_graph, import_model, write_project
from automcu.cost.estimation import estimate_program
from automcu.cost.verdict import check
from automcu.errors import AutomcuError, WrongInputError
from automcu.mcu import Device, all_devices, find_device
from automcu.networks.cells.cell import all_cells
from automcu.networks.cells.graph import architecture_graph
from automcu.networks.cells.skeleton import Architecture, Skeleton
from automcu.toolchains import build_project, find_compiler
from benchmarks.fit_cost_model import has_constant_result
from benchmarks.graph_generator import random_graph
from benchmarks.mlperf_tiny import MODELS, data_folder
from benchmarks.public_networks import PUBLIC_NETWORKS

CELLS, TIMED, RANDOM = 80, 24, 40
QUICK_CELLS, QUICK_TIMED, QUICK_OTHERS = 8, 4, 2
_SEED = 2026
_PROCESSES = 2
_FIRST_RANDOM = 7000
_MOST_CELL_MACS, _MOST_MACS = 4_000_000, 8_000_000  # that a virtual board runs in some seconds

# What a run may be off by, in percent, and how many of the networks must be within their bars.
FLASH_PERCENT = 2.0
WITHIN_BAR = 0.95

Row = dict[str, object]


@dataclass(frozen=True)
class Subject:
    """A network without or with weights, what it is called, and whether it is to be timed.

    `columns` are the cell's and its skeleton's.
    """

    kind: str
    name: str
    graph: Graph
    timed: bool
    columns: Row = field(default_factory=dict)

    @property
    def macs(self) -> int:
        """Of one inference."""
        return sum(one.macs(self.graph) for one in self.graph.operators)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, help=f"cells to build ({CELLS})")
    parser.add_argument("--timed", type=int, help=f"how many of them to run ({TIMED})")
    parser.add_argument("--device", action="append", help="only this board")
    parser.add_argument("--quick", action="store_true", help="few networks; writes no CSV")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cells = options.cells or (QUICK_CELLS if options.quick else CELLS)
    timed = options.timed or (QUICK_TIMED if options.quick else TIMED)
    others = QUICK_OTHERS if options.quick else None
    boards = [find_device(name) for name in options.device or ()] or boards_with_figures()
    rows: list[Row] = []
    subjects = [*draw(boards, cells, timed), *own_models(boards, others)]
    with ProcessPoolExecutor(_PROCESSES) as pool:
        for row in pool.map(compare, *zip(*subjects, strict=True), count()):
            rows.append(row)
            print(f"\r{len(rows)}/{len(subjects)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    table = pd.DataFrame(rows)
    if not options.quick:
        table.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    summary = summarise(table)
    if options.json:
        print(json.dumps({"summary": summary, "rows": json.loads(table.to_json(orient="records"))}))
    else:
        show(table, summary)
    return 0 if summary["within_bounds"] else 1


def boards_with_figures() -> list[Device]:
    """The boards whose profiles have latency figures for the compiler that is here.

    An ESP32-S3 is among them where a compiler and an emulator for it are.
    """
    return [
        device
        for device in all_devices().values()
        if (device.core != "xtensa-lx7" or can_emulate())
        and any(one.compiler == find_compiler(device.core).kind for one in device.latency)
    ]


def draw(boards: list[Device], cells: int, timed: int) -> Iterator[tuple[Subject, Device]]:
    """Random connected cells in random skeletons that fit, on the boards in turn."""
    generator = np.random.default_rng(_SEED)
    drawn = 0
    while drawn < cells:
        cell = all_cells()[int(generator.integers(len(all_cells())))]
        skeleton = Skeleton(
            stem_channels=int(generator.choice((4, 6, 8, 12, 16, 24))),
            cells_per_stage=int(generator.choice((1, 1, 2, 3, 5))),
            resolution=int(generator.choice((8, 12, 16, 24, 32))),
            input_channels=int(generator.choice((1, 3))),
            classes=int(generator.choice((2, 10, 100))),
        )
        if not cell.is_connected:
            continue
        architecture = Architecture(cell=str(cell), skeleton=skeleton)
        columns: Row = {"cell": architecture.cell, **skeleton.model_dump()}
        subject = Subject("cell", str(cell), architecture_graph(architecture), False, columns)
        run = timed > 0 and subject.macs <= _MOST_CELL_MACS
        device = boards[drawn % len(boards)]
        if fits(subject, device):
            drawn, timed = drawn + 1, timed - run
            yield replace(subject, timed=run), device


def fits(subject: Subject, device: Device) -> bool:
    """Whether the device takes the network, by its estimate."""
    needed = estimate_program(compile_graph(subject.graph, device), device)
    return check(needed, device).fits


def own_models(boards: list[Device], most: int | None) -> Iterator[tuple[Subject, Device]]:
    """Networks of other people's making, each on the next board that takes it, `most` a kind."""
    makers: dict[str, dict[str, Callable[[], Graph]]] = {
        "MLPerf Tiny": _mlperf_tiny(),
        "public shape": dict(PUBLIC_NETWORKS),
        "random graph": {
            str(seed): partial(random_graph, seed) for seed in islice(_useful_seeds(), RANDOM)
        },
    }
    turn = cycle(boards)
    for kind, graphs in makers.items():
        for name, make in list(graphs.items())[:most]:
            subject = Subject(kind, name, make(), False)
            subject = replace(subject, timed=subject.macs <= _MOST_MACS)
            for device in (next(turn) for _ in boards):
                if fits(subject, device):
                    yield subject, device
                    break


def _useful_seeds() -> Iterator[int]:
    """Of random graphs all of whose layers compute something."""
    return (n for n in count(_FIRST_RANDOM) if not has_constant_result(random_graph(n)))


def _mlperf_tiny() -> dict[str, Callable[[], Graph]]:
    """The reference models by name; none where the files are missing."""
    try:
        folder = data_folder() / "mlperf_tiny"
    except WrongInputError as error:
        print(error, file=sys.stderr)
        return {}
    return {name: partial(import_model, folder / file) for name, file in MODELS.items()}


def compare(subject: Subject, device: Device, seed: int) -> Row:
    """Build one network, run it where asked, and put what was found beside the estimate."""
    needed = estimate_program(compile_graph(subject.graph, device), device)
    without_weights = subject.kind in ("cell", "public shape")
    graph = with_random_weights(subject.graph, seed) if without_weights else subject.graph
    program = compile_graph(graph, device)
    shape = program.graph.tensors[program.graph.input].shape
    golden = np.random.default_rng(seed).integers(-128, 128, (1, *shape), dtype=np.int8)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        write_project(program, device.id, project, golden_inputs=golden)
        build = build_project(project, device, find_compiler(device.core))
        measured = bench_project(project, device, VIRTUAL) if subject.timed else None
    if measured is not None and measured.mismatches:
        raise AssertionError(f"{subject.name} computes something else than the reference")
    cycles = measured.cycles if measured else None
    return {
        "kind": subject.kind,
        "name": subject.name,
        "device": device.id,
        "compiler": build.compiler,
        **subject.columns,
        "macs": needed.macs,
        "weight_bytes_estimated": needed.weight_bytes,
        "weight_bytes": build.weight_bytes,
        "arena_bytes_estimated": needed.arena_bytes,
        "arena_bytes": build.arena_bytes,
        "flash_bytes_estimated": needed.flash_bytes,
        "flash_bytes": build.flash_bytes,
        "flash_error_percent": _percent_off(needed.flash_bytes, build.flash_bytes),
        "ram_error_bytes": needed.ram_bytes - build.ram_bytes,
        "cycles_estimated": needed.cycles,
        "cycles": cycles,
        "latency_error_percent": _percent_off(needed.cycles, cycles) if cycles else None,
        "bar_percent": needed.latency_percent,
        "guessed_layers": len(needed.guesses.layers),
    }


def _percent_off(estimated: float, found: float) -> float:
    return round(100 * (estimated / found - 1), 3)


def summarise(table: pd.DataFrame) -> dict[str, object]:
    """Counts, distribution and worst case of each error, of all networks and of each kind."""
    weights_equal = int((table.weight_bytes_estimated == table.weight_bytes).sum())
    arenas_equal = int((table.arena_bytes_estimated == table.arena_bytes).sum())
    flash = table.flash_error_percent.abs()
    within = _within_bar(table)
    return {
        "networks": len(table),
        "boards": sorted(table.device.unique()),
        "weights_equal": weights_equal,
        "arenas_equal": arenas_equal,
        "flash": _distribution(flash),
        "timed": int(table.cycles.notna().sum()),
        "latency": _distribution(table.latency_error_percent.astype(float).abs().dropna()),
        "with_bar": len(within),
        "within_bar": int(within.sum()),
        "kinds": {
            str(kind): {
                "networks": len(rows),
                "flash": _distribution(rows.flash_error_percent.abs()),
                "timed": int(rows.cycles.notna().sum()),
                "latency": _distribution(rows.latency_error_percent.astype(float).abs().dropna()),
                "within_bar": int(_within_bar(rows).sum()),
                "with_bar": len(_within_bar(rows)),
            }
            for kind, rows in table.groupby("kind", sort=False)
        },
        "within_bounds": bool(
            weights_equal == arenas_equal == len(table)
            and flash.max() <= FLASH_PERCENT
            and within.sum() >= WITHIN_BAR * len(within)
        ),
    }


def _within_bar(table: pd.DataFrame) -> "pd.Series[bool]":
    """Whether the latency is within what was printed, for networks that have both."""
    timed = table[table.cycles.notna() & table.bar_percent.notna()]
    return timed.latency_error_percent.astype(float).abs() <= timed.bar_percent.astype(float)


def _distribution(errors: "pd.Series[float]") -> dict[str, float] | None:
    if errors.empty:
        return None
    return {
        "median_percent": round(float(errors.median()), 3),
        "p90_percent": round(float(errors.quantile(0.9)), 3),
        "worst_percent": round(float(errors.max()), 3),
    }


def show(table: pd.DataFrame, summary: dict[str, object]) -> None:
    """Print the summary and the worst rows of each kind."""
    print(f"{summary['networks']} networks on {', '.join(map(str, summary['boards']))}")  # type: ignore[call-overload]
    print(
        f"weights equal to the ELF's: {summary['weights_equal']}, arenas: {summary['arenas_equal']}"
    )
    for kind, rows in table.groupby("kind", sort=False):
        within = _within_bar(rows)
        print(f"{kind}: {len(rows)}, {int(within.sum())} of {len(within)} within the printed bar")
        for name, column in (
            ("flash", "flash_error_percent"),
            ("latency", "latency_error_percent"),
        ):
            errors = rows[column].astype(float)
            if errors.notna().any():
                worst = rows.loc[errors.abs().idxmax()]
                print(f"  {name}, percent off: {_distribution(errors.abs().dropna())}")
                print(f"    worst {worst[column]:+.2f} %: {worst['name']} on {worst.device}")
    print("within the bounds" if summary["within_bounds"] else "NOT within the bounds")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AutomcuError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)

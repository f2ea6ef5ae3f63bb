"""How exact estimates are: random cells, on all boards with latency figures, built and run.

    python -m benchmarks.exactness [--cells N] [--timed N] [--device ID] [--quick] [--json]

Draws cells, skeletons and boards at random, estimates each network without its weights, then
compiles it with random ones, links the firmware and reads the ELF: weights and arena must be
equal to the byte and all of the flash within 2 %. Some of the networks also run on the virtual
board, whose cycles the modelled latency must meet within 10 % (median within 3 %). Both are
models of time: nothing here was measured on silicon. `benchmarks/exactness.csv` holds the rows
of a full run. The exit code is 1 where a bound is missed. (That the graph which is estimated is
also the one that a trained network's export becomes is what tests/cost holds.)
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from automcu.boards.bench import bench_project
from automcu.boards.discovery import VIRTUAL
from automcu.boards.xtensa import can_emulate
from automcu.calibration.random_weights import with_random_weights
from automcu.compiler import compile_graph, write_project
from automcu.cost.records import Estimate
from automcu.cost.verdict import check
from automcu.errors import WrongInputError
from automcu.mcu import Device, all_devices, find_device
from automcu.networks.cells.architecture import Architecture, Skeleton
from automcu.networks.cells.cell import all_cells
from automcu.networks.cells.graph import architecture_graph
from automcu.networks.estimate import estimate
from automcu.toolchains import build_project, find_compiler

CELLS, TIMED = 200, 40
QUICK_CELLS, QUICK_TIMED = 8, 4
_SEED = 2026
_MOST_TIMED_MACS = 4_000_000  # a virtual board takes about a second for each million

# What a run may be off by, in percent.
FLASH_PERCENT = 2.0
LATENCY_PERCENT, MEDIAN_LATENCY_PERCENT = 10.0, 3.0

Row = dict[str, object]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, help=f"networks to build ({CELLS})")
    parser.add_argument("--timed", type=int, help=f"how many of them to run ({TIMED})")
    parser.add_argument("--device", action="append", help="only this board")
    parser.add_argument("--quick", action="store_true", help="few networks; writes no CSV")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cells = options.cells or (QUICK_CELLS if options.quick else CELLS)
    timed = options.timed or (QUICK_TIMED if options.quick else TIMED)
    boards = [find_device(name) for name in options.device or ()] or boards_with_figures()
    rows: list[Row] = []
    left_to_time = timed
    for architecture, device, needed in draw(boards, cells):
        run = left_to_time > 0 and needed.macs <= _MOST_TIMED_MACS
        left_to_time -= run
        rows.append(compare(architecture, device, needed, run, seed=len(rows)))
        print(f"\r{len(rows)}/{cells}", end="", file=sys.stderr, flush=True)
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


def draw(boards: list[Device], count: int) -> Iterator[tuple[Architecture, Device, Estimate]]:
    """Random connected cells in random skeletons that fit, on the boards in turn."""
    generator = np.random.default_rng(_SEED)
    drawn = 0
    while drawn < count:
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
        device = boards[drawn % len(boards)]
        architecture = Architecture(cell=str(cell), skeleton=skeleton)
        needed = estimate(architecture, device)
        if check(needed, device).fits:
            drawn += 1
            yield architecture, device, needed


def compare(
    architecture: Architecture, device: Device, needed: Estimate, run: bool, seed: int
) -> Row:
    """Build one network, run it where asked, and put what was found beside the estimate."""
    program = compile_graph(with_random_weights(architecture_graph(architecture), seed), device)
    shape = program.graph.tensors[program.graph.input].shape
    golden = np.random.default_rng(seed).integers(-128, 128, (1, *shape), dtype=np.int8)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        write_project(program, device.id, project, golden_inputs=golden)
        build = build_project(project, device, find_compiler(device.core))
        measured = bench_project(project, device, VIRTUAL) if run else None
    if measured is not None and measured.mismatches:
        raise AssertionError(f"{architecture} computes something else than the reference")
    cycles = measured.cycles if measured else None
    return {
        "device": device.id,
        "compiler": build.compiler,
        "cell": architecture.cell,
        **architecture.skeleton.model_dump(),
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
    }


def _percent_off(estimated: float, found: float) -> float:
    return round(100 * (estimated / found - 1), 3)


def summarise(table: pd.DataFrame) -> dict[str, object]:
    """Counts, distribution and worst case of each error."""
    flash = table.flash_error_percent.abs()
    latency = table.latency_error_percent.astype(float).abs().dropna()
    weights_equal = int((table.weight_bytes_estimated == table.weight_bytes).sum())
    arenas_equal = int((table.arena_bytes_estimated == table.arena_bytes).sum())
    return {
        "networks": len(table),
        "boards": sorted(table.device.unique()),
        "weights_equal": weights_equal,
        "arenas_equal": arenas_equal,
        "flash": _distribution(flash),
        "timed": len(latency),
        "latency": _distribution(latency),
        "within_bounds": bool(
            weights_equal == arenas_equal == len(table)
            and flash.max() <= FLASH_PERCENT
            and (latency.empty or latency.max() <= LATENCY_PERCENT)
            and (latency.empty or latency.median() <= MEDIAN_LATENCY_PERCENT)
        ),
    }


def _distribution(errors: "pd.Series[float]") -> dict[str, float] | None:
    if errors.empty:
        return None
    return {
        "median_percent": round(float(errors.median()), 3),
        "p90_percent": round(float(errors.quantile(0.9)), 3),
        "worst_percent": round(float(errors.max()), 3),
    }


def show(table: pd.DataFrame, summary: dict[str, object]) -> None:
    """Print the summary and the worst rows."""
    print(f"{summary['networks']} networks on {', '.join(map(str, summary['boards']))}")  # type: ignore[call-overload]
    print(
        f"weights equal to the ELF's: {summary['weights_equal']}, arenas: {summary['arenas_equal']}"
    )
    for name, column in (("flash", "flash_error_percent"), ("latency", "latency_error_percent")):
        errors = table[column].astype(float)
        if errors.notna().any():
            worst = table.loc[errors.abs().idxmax()]
            print(f"{name}, percent off: {summary[name]}")
            print(
                f"  worst {worst[column]:+.2f} %: {worst.device}, {worst.cell}, stem "
                f"{worst.stem_channels}, {worst.cells_per_stage} cells, {worst.resolution} px"
            )
    print("within the bounds" if summary["within_bounds"] else "NOT within the bounds")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except WrongInputError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)

"""Random graphs as machine code: every output byte against the reference.

    python -m benchmarks.random_graphs [--kind all|copies] [--lto] [--unguarded]
        [--graphs N] [--first SEED] [--level=-O2] [--quick] [--json]

Each graph is compiled with kernels for the DSP extension and in portable C, each with
arm-none-eabi-gcc and zig, linked, and run as a Cortex-M4's machine code on the virtual board's
processor; with those of a Cortex-M7, whose assembly is in another order; and, where a compiler and
QEMU are there, as Xtensa code. Graphs are of all operators,
where every fifth is a chain that runs some rows at a time, or of copies, which GCC 12 may take for
nothing. `--lto` lets GCC optimise across files as it links, and `--unguarded` empties the macro
that keeps it from leaving copies out: this is how many would be wrong. The exit code is 1 where an
output differs; the seeds of those graphs are printed. `benchmarks/random_graphs.csv` holds the rows
of full runs, one kind and way of building each.
"""

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from automcu.boards.xtensa import can_emulate
from automcu.compiler import Graph, compile_graph
from automcu.compiler.compile import portable_program
from automcu.compiler.tiling.chain import RowTiling
from automcu.errors import AutomcuError
from automcu.mcu import Device, find_device
from automcu.toolchains import find_compiler
from automcu.toolchains.compiler import ToolFailedError
from benchmarks.graph_generator import random_copies, random_graph
from benchmarks.network_check import Network, differing_on_board, differing_on_xtensa, unchanged

GRAPHS, FEWER_GRAPHS, QUICK_GRAPHS = 1000, 200, 40  # fewer: with --lto and --unguarded
_BATCH = 20  # graphs in one program
_INPUTS = 2
_WORKERS = 2
BOARDS = {
    "dsp": "stm32f407g-disc1",
    "portable": "stm32f407g-disc1",
    "dual issue": "stm32f746g-disco",
    "xtensa": "esp32-s3-devkitc-1",
}
"""By whose kernels they are, the board that graphs are compiled for."""

_KEY = ["kind", "kernels", "compiler", "level", "guarded"]  # of a row of the CSV
KINDS: dict[str, Callable[[int], Graph]] = {"all": random_graph, "copies": random_copies}

Row = dict[str, object]


@dataclass(frozen=True)
class Way:
    """How graphs become machine code."""

    kernels: str  # a key of BOARDS
    compiler: str
    flags: tuple[str, ...] = ()
    guarded: bool = True  # MODEL_WRITES_MEMORY as it is generated, not empty


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=KINDS, help="which graphs (both)")
    parser.add_argument("--lto", action="store_true", help="GCC with -flto")
    parser.add_argument("--unguarded", action="store_true", help="GCC without the guard")
    parser.add_argument("--graphs", type=int, help=f"how many ({GRAPHS}, or {FEWER_GRAPHS})")
    parser.add_argument("--first", type=int, default=0, help="seed of the first graph")
    parser.add_argument("--level", default="-O2", help="optimisation of the Arm compilers")
    parser.add_argument("--quick", action="store_true", help="few graphs; writes no CSV")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    chosen = ways(options.level, options.lto, options.unguarded)
    full = FEWER_GRAPHS if options.lto or options.unguarded else GRAPHS
    count = options.graphs or (QUICK_GRAPHS if options.quick else full)
    seeds = range(options.first, options.first + count)
    rows: list[Row] = []
    try:
        for kind in [options.kind] if options.kind else KINDS:
            for way in chosen:
                rows.append(measure(kind, way, seeds))
                if count >= full and options.level == "-O2":
                    _record(rows[-1])
    except AutomcuError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(json.dumps(rows) if options.json else "\n".join(map(_line, rows)))
    return 1 if any(row["differing"] for row in rows) else 0


def _record(row: Row) -> None:
    """Put the row into the CSV, in the place of the one of the same kind and way."""
    path = Path(__file__).with_suffix(".csv")
    table = pd.DataFrame([row])
    if path.exists():
        table = pd.concat([pd.read_csv(path, keep_default_na=False), table])
    table.drop_duplicates(_KEY, keep="last").to_csv(path, index=False)


def _line(row: Row) -> str:
    built = f"{row['kernels']:11}{row['compiler']:13}{row['level']}"
    return (
        f"{row['kind']:7}{built}{'' if row['guarded'] else ', unguarded'}: {row['graphs']} graphs "
        f"({row['by_rows']} by rows), {row['layers']} layers, {row['output_bytes']} output "
        f"bytes: {row['differing']} differ {row['seeds']}"
    )


def ways(level: str, lto: bool, unguarded: bool) -> Sequence[Way]:
    """Those for which there is a compiler here; only GCC's for Arm with one of the options."""
    flags = (level, "-flto") if lto else (level,)
    gcc = [
        Way(kernels, "gcc", flags, not unguarded) for kernels in ("dsp", "portable", "dual issue")
    ]
    if lto or unguarded:
        return gcc
    zig = [Way(kernels, "zig", flags) for kernels in ("dsp", "portable")]
    return [*gcc, *zig, *([Way("xtensa", "gcc", ("-O2",))] if can_emulate() else [])]


def measure(kind: str, way: Way, seeds: range) -> Row:
    """Build and run the graphs of this kind and these seeds in one way.

    Raises:
        ToolError: its compiler is missing.
    """
    os.environ["AUTOMCU_COMPILER"] = way.compiler  # of the workers, too
    compiler = find_compiler(_device(way).core)
    batches = [seeds[first : first + _BATCH] for first in range(0, len(seeds), _BATCH)]
    differing: list[str] = []
    with ProcessPoolExecutor(_WORKERS) as pool:
        jobs = [pool.submit(differing_graphs, kind, way, batch) for batch in batches]
        for done, job in enumerate(jobs, start=1):
            differing += job.result()
            progress = f"{kind} {way.kernels} {way.compiler} {done}/{len(jobs)}"
            print(f"\r{progress}", end="", file=sys.stderr)
    print(file=sys.stderr)
    graphs = [network(kind, way, seed).program.graph for seed in seeds]
    by_rows = [g for g in graphs if any(isinstance(o.attributes, RowTiling) for o in g.operators)]
    return {
        "kind": kind,
        "kernels": way.kernels,
        "compiler": str(compiler),
        "level": " ".join(way.flags),
        "guarded": way.guarded,
        "graphs": len(seeds),
        "by_rows": len(by_rows),
        "layers": sum(len(graph.operators) for graph in graphs),
        "output_bytes": _INPUTS * sum(graph.tensors[graph.output].size for graph in graphs),
        "differing": len(differing),
        "seeds": " ".join(name.removeprefix("graph") for name in differing),
    }


def differing_graphs(kind: str, way: Way, seeds: range) -> list[str]:
    """Names of the graphs of these seeds whose outputs differ, or that do not build or end."""
    networks = [network(kind, way, seed) for seed in seeds]
    run: Callable[[list[Network], Path], list[str]]
    if way.kernels == "xtensa":
        run = differing_on_xtensa
    else:
        device = _device(way)
        edit = unchanged if way.guarded else without_guard

        def run(networks: list[Network], folder: Path) -> list[str]:
            return differing_on_board(networks, device, folder, flags=way.flags, edit=edit)

    return _differing(networks, run)


def without_guard(source: str) -> str:
    """C in which no function tells the compiler that it writes memory."""
    return re.sub(r"^(#define \w+_WRITES_MEMORY) .*$", r"\1 (void)0", source, flags=re.M)


def _differing(
    networks: list[Network], run: Callable[[list[Network], Path], list[str]]
) -> list[str]:
    """All in one program; where that fails, which of them it is."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            return run(networks, Path(folder))
    except (ToolFailedError, AutomcuError) as failure:
        if len(networks) == 1:
            print(f"\n{networks[0].name}: {failure}", file=sys.stderr)
            return [networks[0].name]
    half = len(networks) // 2
    return _differing(networks[:half], run) + _differing(networks[half:], run)


def network(kind: str, way: Way, seed: int) -> Network:
    """The graph of a seed, its kernels, and its inputs; half of them get less memory."""
    graph, generator = KINDS[kind](seed), np.random.default_rng(seed)
    device = _device(way)
    program = compile_graph(graph, device)
    if generator.integers(2):
        limit = int(generator.integers(10)) * program.arena.size // 10
        program = compile_graph(graph, device, limit)
    shape = graph.tensors[graph.input].shape
    inputs = generator.integers(-128, 128, (_INPUTS, *shape), dtype=np.int8)
    if way.kernels == "portable":
        program = portable_program(program)
    return Network(f"graph{seed}", program, inputs, program.run(inputs))


def _device(way: Way) -> Device:
    return find_device(BOARDS[way.kernels])


if __name__ == "__main__":
    sys.exit(main())

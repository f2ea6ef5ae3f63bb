"""Random graphs over all operators, as machine code: every output byte against the reference.

    python -m benchmarks.random_graphs [--graphs N] [--first SEED] [--level=-O2] [--quick] [--json]

Each graph is compiled with kernels for the DSP extension and in portable C, each with
arm-none-eabi-gcc and zig, linked, and run as a Cortex-M4's machine code on the virtual board's
processor; and, where a compiler and QEMU are there, as Xtensa code. Every fifth graph is a chain
that runs some rows at a time. The exit code is 1 where an output differs; the seeds of those
graphs are printed. `benchmarks/random_graphs.csv` holds the rows of a full run.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from automcu.boards.xtensa import can_emulate
from automcu.compiler import compile_graph
from automcu.compiler.compile import portable_program
from automcu.compiler.ops import Stripes
from automcu.errors import AutomcuError
from automcu.mcu import Device, find_device
from automcu.toolchains import find_compiler
from automcu.toolchains.compiler import ToolFailedError
from benchmarks.graph_generator import random_graph
from benchmarks.network_check import Network, differing_on_board, differing_on_xtensa

GRAPHS, QUICK_GRAPHS = 1000, 40
_BATCH = 20  # graphs in one program
_INPUTS = 2
_WORKERS = 2
_CORTEX_M4, _LX7 = "stm32f407g-disc1", "esp32-s3-devkitc-1"

Row = dict[str, object]


@dataclass(frozen=True)
class Way:
    """How graphs become machine code."""

    kernels: str  # "dsp", "portable" or "xtensa"
    compiler: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--graphs", type=int, help=f"how many ({GRAPHS})")
    parser.add_argument("--first", type=int, default=0, help="seed of the first graph")
    parser.add_argument("--level", default="-O2", help="optimisation of the Arm compilers")
    parser.add_argument("--quick", action="store_true", help="few graphs; writes no CSV")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    count = options.graphs or (QUICK_GRAPHS if options.quick else GRAPHS)
    seeds = range(options.first, options.first + count)
    try:
        rows = [measure(way, seeds, options.level) for way in ways()]
    except AutomcuError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if count >= GRAPHS and options.level == "-O2":
        pd.DataFrame(rows).to_csv(Path(__file__).with_suffix(".csv"), index=False)
    if options.json:
        print(json.dumps(rows))
    else:
        for row in rows:
            print(
                f"{row['kernels']:9}{row['compiler']:13}{row['level']:5}{row['graphs']} graphs "
                f"({row['by_rows']} by rows), {row['layers']} layers, {row['output_bytes']} output "
                f"bytes: {row['differing']} differ {row['seeds']}"
            )
    return 1 if any(row["differing"] for row in rows) else 0


def ways() -> Iterator[Way]:
    """Those for which there is a compiler here."""
    for compiler in ("gcc", "zig"):
        for kernels in ("dsp", "portable"):
            yield Way(kernels, compiler)
    if can_emulate():
        yield Way("xtensa", "gcc")


def measure(way: Way, seeds: range, level: str) -> Row:
    """Build and run the graphs of these seeds in one way.

    Raises:
        ToolError: its compiler is missing.
    """
    os.environ["AUTOMCU_COMPILER"] = way.compiler  # of the workers, too
    compiler = find_compiler(_device(way).core)
    batches = [seeds[first : first + _BATCH] for first in range(0, len(seeds), _BATCH)]
    differing: list[str] = []
    with ProcessPoolExecutor(_WORKERS) as pool:
        jobs = [pool.submit(differing_graphs, way, batch, level) for batch in batches]
        for done, job in enumerate(jobs, start=1):
            differing += job.result()
            print(f"\r{way.kernels} {way.compiler} {done}/{len(jobs)}", end="", file=sys.stderr)
    print(file=sys.stderr)
    graphs = [network(seed, way).program.graph for seed in seeds]
    by_rows = [g for g in graphs if any(isinstance(o.attributes, Stripes) for o in g.operators)]
    return {
        "kernels": way.kernels,
        "compiler": str(compiler),
        "level": level,
        "graphs": len(seeds),
        "by_rows": len(by_rows),
        "layers": sum(len(graph.operators) for graph in graphs),
        "output_bytes": _INPUTS * sum(graph.tensors[graph.output].size for graph in graphs),
        "differing": len(differing),
        "seeds": " ".join(name.removeprefix("graph") for name in differing),
    }


def differing_graphs(way: Way, seeds: range, level: str) -> list[str]:
    """Names of the graphs of these seeds whose outputs differ, or that do not build or end."""
    networks = [network(seed, way) for seed in seeds]
    run: Callable[[list[Network], Path], list[str]]
    if way.kernels == "xtensa":
        run = differing_on_xtensa
    else:
        device = _device(way)

        def run(networks: list[Network], folder: Path) -> list[str]:
            return differing_on_board(networks, device, folder, flags=(level,))

    return _differing(networks, run)


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


def network(seed: int, way: Way) -> Network:
    """The graph of a seed, its kernels, and its inputs; half of them get less memory."""
    graph, generator = random_graph(seed), np.random.default_rng(seed)
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
    return find_device(_LX7 if way.kernels == "xtensa" else _CORTEX_M4)


if __name__ == "__main__":
    sys.exit(main())

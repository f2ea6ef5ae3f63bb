"""Keyword spotting with weights of 8, 6, 4, 3 and 2 bits: flash, arena, cycles, accuracy.

    python -m benchmarks.low_bit_weights [--quick] [--json]

Needs the reference model (mlcommons/tiny) in `$AUTOMCU_DATA/mlperf_tiny` or
`../shared/data/mlperf_tiny`. A width is that of all layers but the first, last and depthwise
ones ("usual"), or all but the depthwise ones ("every"). Accuracy is that of the integer reference
on the 1,000 test inputs (--quick: 200), a few of which the virtual board answers as well: it has
to give the same bytes. Cycles are those of the timing model, with flash wait states.
`benchmarks/low_bit_weights.csv` holds the rows.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from automcu.boards.bench import bench_project
from automcu.boards.virtual.machine import count_cycles
from automcu.compiler import compile_graph, import_model, run_reference, write_project
from automcu.compiler.graph import Graph
from automcu.compiler.low_bit_weights import (
    WIDTHS,
    reduce_weight_bits,
    reducible_layers,
)
from automcu.errors import AutomcuError
from automcu.mcu import find_device
from automcu.toolchains import build_project, find_compiler
from benchmarks.mlperf_tiny import MODELS, data_folder

DEVICE = "nucleo-l4r5zi"
BOARD_INPUTS = 4


def with_fewer_bits(graph: Graph, layers: str, bits: int) -> Graph:
    """The model with `usual` or `every` layer of fewer bits."""
    if layers == "usual":
        return reduce_weight_bits(graph, bits)
    return reduce_weight_bits(graph, dict.fromkeys(reducible_layers(graph), bits))


def measure(layers: str, bits: int, inputs: np.ndarray, labels: np.ndarray) -> dict[str, object]:
    """Compile, build and run the network with weights of so many bits."""
    device = find_device(DEVICE)
    graph = import_model(data_folder() / "mlperf_tiny" / MODELS["kws"])
    program = compile_graph(with_fewer_bits(graph, layers, bits), device)
    shape = program.graph.tensors[program.graph.input].shape
    golden = inputs[:BOARD_INPUTS].reshape(-1, *shape)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        write_project(program, device.id, project, golden_inputs=golden)
        build = build_project(project, device, find_compiler(device.core))
        counted = count_cycles(project / build.elf, device, entry="model_run")
        if bench_project(project, device, "virtual").mismatches:
            raise AssertionError(f"{bits} bits: the board and the reference differ")
    answers = run_reference(program.graph, inputs.reshape(-1, *shape)).argmax(axis=1)
    return {
        "layers": layers,
        "bits": bits,
        "compiler": build.compiler,
        "flash_bytes": build.flash_bytes,
        "weight_bytes": build.weight_bytes,
        "arena_bytes": build.arena_bytes,
        "cycles": counted.cycles,
        "accuracy": round(float((answers == labels).mean()), 4),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="200 inputs instead of 1,000")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    try:
        with np.load(data_folder() / "mlperf_tiny" / "kws01_mfcc_int8.npz") as file:
            count = 200 if options.quick else 1000
            inputs, labels = file["x"][:count], file["y"][:count]
        rows = [measure("usual", bits, inputs, labels) for bits in WIDTHS]
        rows += [measure("every", bits, inputs, labels) for bits in WIDTHS[1:]]
    except AutomcuError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if options.json:
        print(json.dumps(rows))
    else:
        for row in rows:
            print(
                f"{row['layers']:6}{row['bits']} bits  flash {row['flash_bytes']:,} B "
                f"(weights {row['weight_bytes']:,} B)  arena {row['arena_bytes']:,} B  "
                f"{row['cycles']:,} cycles modelled  accuracy {row['accuracy']:.1%}"
            )
    if not options.quick:
        pd.DataFrame(rows).to_csv(Path(__file__).with_suffix(".csv"), index=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())

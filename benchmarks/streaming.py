"""How long it takes to stream a test set through a firmware on a virtual board.

    python -m benchmarks.streaming [--inputs N] [--quick] [--json]

Keyword spotting of MLPerf Tiny on a virtual STM32L4R5: flashed, timed, profiled, and 1,000 test
inputs streamed, every output byte compared with the integer reference. Needs the reference model
and inputs in `$AUTOMCU_DATA/mlperf_tiny` or `../shared/data/mlperf_tiny`.
`benchmarks/streaming.csv` holds the row of a full run. The exit code is 1 above three minutes.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from automcu.boards.bench import bench_project
from automcu.compiler import compile_graph, import_model, write_project
from automcu.errors import AutomcuError
from automcu.mcu import find_device
from automcu.toolchains import build_project
from benchmarks.mlperf_tiny import MODELS, data_folder

DEVICE = "nucleo-l4r5zi"
INPUTS, QUICK_INPUTS = 1000, 50
MOST_S = 180.0


def measure(inputs: int) -> dict[str, object]:
    """Stream so many inputs; returns the row."""
    device, data = find_device(DEVICE), data_folder() / "mlperf_tiny"
    program = compile_graph(import_model(data / MODELS["kws"]), device)
    with np.load(data / "kws01_mfcc_int8.npz") as file:
        shape = program.graph.tensors[program.graph.input].shape
        golden = file["x"][:inputs].reshape(-1, *shape)
        labels = file["y"][:inputs].astype(np.int64)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        write_project(program, device.id, project, golden_inputs=golden, golden_labels=labels)
        build_project(project, device)
        started = time.monotonic()
        found = bench_project(project, device, "virtual")
        seconds = time.monotonic() - started
    return {
        "device": device.id,
        "inputs": found.inputs,
        "mismatches": found.mismatches,
        "accuracy": found.accuracy,
        "latency_ms_modelled": round(found.latency_ms.median, 2),
        "timed_runs": found.runs,
        "seconds": round(seconds, 1),
        "cores": os.cpu_count(),
    }


def main() -> int:
    """Print the row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int)
    parser.add_argument("--quick", action="store_true", help="50 inputs; writes no CSV")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    try:
        row = measure(options.inputs or (QUICK_INPUTS if options.quick else INPUTS))
    except AutomcuError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if not options.quick and not options.inputs:
        pd.DataFrame([row]).to_csv(Path(__file__).with_suffix(".csv"), index=False)
    print(json.dumps(row) if options.json else pd.Series(row).to_string())
    return 0 if float(str(row["seconds"])) <= MOST_S else 1


if __name__ == "__main__":
    sys.exit(main())

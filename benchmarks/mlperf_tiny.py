"""The MLPerf Tiny networks on virtual boards: milliseconds, cycles, memory, accuracy.

    python -m benchmarks.mlperf_tiny [--quick] [--json]

Needs the reference models (mlcommons/tiny) in `$AUTOMCU_DATA/mlperf_tiny` or
`../shared/data/mlperf_tiny`. Latency is modelled: the virtual board's timing model, with flash
wait states and caches, beside the published figures of real boards. TFLM's arena is that of the
`tflite-micro` package (`pip install tflite-micro`), asked in the same run. Accuracy is that of
keyword spotting on its 1,000 test inputs, streamed to the virtual board (--quick: 100).
`benchmarks/mlperf_tiny.csv` holds the rows.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from automcu.boards.bench import bench_project
from automcu.boards.virtual.machine import count_cycles
from automcu.compiler import compile_graph, import_model, write_project
from automcu.errors import AutomcuError, WrongInputError
from automcu.mcu import find_device
from automcu.toolchains import build_project, find_compiler

MODELS = {
    "kws": "kws_ref_model.tflite",
    "ic": "pretrainedResnet_quant.tflite",
    "ad": "ad01_int8.tflite",
}
DEVICES = ("nucleo-l4r5zi", "stm32f746g-disco", "nucleo-h743zi2")
_PEER_SYSTEMS = {"nucleo-l4r5zi": "L4R5", "stm32f746g-disco": "F746", "nucleo-h743zi2": "H7A3"}
_TFLM_ARENA = """
import sys
from tflite_micro import runtime
runtime.Interpreter.from_file(sys.argv[1]).print_allocations()
"""


def data_folder() -> Path:
    """Where the models are.

    Raises:
        WrongInputError: nowhere.
    """
    for folder in (os.environ.get("AUTOMCU_DATA"), "../shared/data"):
        if folder and (Path(folder) / "mlperf_tiny").is_dir():
            return Path(folder)
    raise WrongInputError(
        "The MLPerf Tiny models are missing. "
        "Point AUTOMCU_DATA at a folder that holds mlperf_tiny/."
    )


def tflm_arena(model: Path) -> int | None:
    """The arena that TFLite Micro allocates, or None where the package is not installed."""
    found = subprocess.run(
        [sys.executable, "-c", _TFLM_ARENA, str(model)], capture_output=True, text=True, check=False
    )
    total = re.search(r"Arena allocation total (\d+) bytes", found.stderr + found.stdout)
    return int(total.group(1)) if total else None


def measure(model: str, device_id: str, data: Path, inputs: int) -> dict[str, object]:
    """Compile, build and run one network on one virtual board."""
    device = find_device(device_id)
    program = compile_graph(import_model(data / "mlperf_tiny" / MODELS[model]), device)
    golden, labels = None, None
    if model == "kws" and device_id == DEVICES[0]:
        with np.load(data / "mlperf_tiny" / "kws01_mfcc_int8.npz") as file:
            shape = program.graph.tensors[program.graph.input].shape
            golden = file["x"][:inputs].reshape(-1, *shape)
            labels = file["y"][:inputs].astype(np.int64)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        write_project(program, device.id, project, golden_inputs=golden, golden_labels=labels)
        build = build_project(project, device, find_compiler(device.core))
        counted = count_cycles(project / build.elf, device, entry="model_run")
        accuracy = None
        if golden is not None:
            measured = bench_project(project, device, "virtual")
            accuracy = measured.accuracy
            if measured.mismatches:
                raise AssertionError(f"{measured.mismatches} outputs differ from the reference")
    return {
        "model": model,
        "device": device.id,
        "compiler": build.compiler,
        "macs": program.macs,
        "cycles_zero_wait": counted.core_cycles,
        "cycles": counted.cycles,
        "cycles_per_mac": round(counted.cycles / program.macs, 3),
        "latency_ms": round(1e3 * counted.cycles / device.clock_hz, 2),
        "arena_bytes": build.arena_bytes,
        "arena_lower_bound": program.arena.lower_bound,
        "flash_bytes": build.flash_bytes,
        "code_bytes": build.flash_bytes - build.weight_bytes,
        "accuracy": accuracy,
    }


def published(data: Path, device_id: str, model: str) -> list[str]:
    """What others published for this network on a board of this kind, fastest first."""
    table = pd.read_csv(data / "mlperf_tiny_published.csv")
    rows = table[table.system.str.contains(_PEER_SYSTEMS[device_id], case=False)]
    rows = rows[rows[f"{model}_ms"].notna()].sort_values(f"{model}_ms")
    return [
        f"{r[f'{model}_ms']:.2f} ms at {r.MHz_assumed} MHz ({r.org} v{r.ver}, {r.system})"
        for _, r in rows.head(3).iterrows()
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="100 inputs instead of 1,000")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    try:
        data = data_folder()
        rows = [
            measure(model, device, data, 100 if options.quick else 1000)
            for device in DEVICES
            for model in MODELS
        ]
    except AutomcuError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    pd.DataFrame(rows).to_csv(Path(__file__).with_suffix(".csv"), index=False)
    if options.json:
        print(json.dumps(rows))
        return 0
    for row in rows:
        accuracy = "" if row["accuracy"] is None else f"  accuracy {row['accuracy']:.1%}"
        print(
            f"{row['model']:4}{row['device']:18}{row['latency_ms']:8.2f} ms modelled  "
            f"{row['cycles_per_mac']:.2f} cycles/MAC ({row['cycles_zero_wait']:,} without wait "
            f"states)  arena {row['arena_bytes']:,} B  flash {row['flash_bytes']:,} B "
            f"(code {row['code_bytes']:,} B){accuracy}"
        )
        for peer in published(data, row["device"], row["model"]):
            print(f"      published: {peer}")
    for model, name in MODELS.items():
        arena = tflm_arena(data / "mlperf_tiny" / name)
        print(f"{model}: TFLite Micro's arena: {'not installed' if arena is None else arena}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

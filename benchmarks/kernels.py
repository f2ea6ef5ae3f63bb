"""Single layers on a Cortex-M4 and M7: instructions and modelled cycles per multiply-accumulate.

    python -m benchmarks.kernels [--quick] [--json]

Cycles are those of the timing model without flash wait states. Beside ours stand CMSIS-NN (at the
commit of OctoML's MLPerf Tiny v1.0 submission) and TinyEngine, compiled by GCC 12 -O3 and counted
with the same model. `benchmarks/kernels.csv` holds the rows.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pandas as pd

from automcu.boards.virtual.machine import count_cycles
from automcu.calibration.networks import with_random_weights
from automcu.compiler import compile_graph, write_project
from automcu.compiler.graph import Graph, Operator, Quantisation, Tensor
from automcu.compiler.ops import Convolution
from automcu.compiler.tensor import Window
from automcu.mcu import find_device
from automcu.toolchains import build_project, find_compiler

_SAME = Window(3, 3, padding=(1, 1, 1, 1))
LAYERS = {
    "conv 3x3 16x16x32->32": ((16, 16, 32), Convolution(_SAME, 32)),
    "conv 1x1 16x16x32->32": ((16, 16, 32), Convolution(Window(1, 1), 32)),
    "depthwise 3x3 16x16x32": ((16, 16, 32), Convolution(_SAME, 32, groups=32)),
    "stem 3x3 32x32x3->16": ((32, 32, 3), Convolution(_SAME, 16)),
    "fully connected 640->128": ((1, 1, 640), Convolution(Window(1, 1), 128)),
}
DEVICES = {"cortex-m4": "stm32f407g-disc1", "cortex-m7": "stm32f746g-disco"}

# Instructions and modelled zero-wait cycles per multiply-accumulate on a Cortex-M4.
PEERS = {
    "conv 3x3 16x16x32->32": {"CMSIS-NN": (1.93, 2.17), "TinyEngine": (2.06, 2.41)},
    "conv 1x1 16x16x32->32": {"CMSIS-NN": (2.70, 3.11), "TinyEngine": (2.37, 2.78)},
    "depthwise 3x3 16x16x32": {"CMSIS-NN": (8.1, 9.2), "TinyEngine": (6.55, 8.3)},
    "stem 3x3 32x32x3->16": {"CMSIS-NN": (4.77, 5.77)},
}


def layer_graph(shape: tuple[int, int, int], attributes: Convolution) -> Graph:
    """A network of one layer."""
    scale = Quantisation(1.0, 0)
    tensors = {
        "input": Tensor("input", shape, scale),
        "output": Tensor("output", attributes.output_shape(shape), scale),
    }
    operator = Operator("layer", ("input",), "output", attributes)
    return Graph(tensors, (operator,), "input", "output")


def measure(name: str, core: str, compiler: str) -> dict[str, object]:
    """Build one layer, run it on the model of `core`, and count."""
    os.environ["AUTOMCU_COMPILER"] = compiler
    device = find_device(DEVICES[core])
    program = compile_graph(with_random_weights(layer_graph(*LAYERS[name]), seed=0), device)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        write_project(program, device.id, project)
        build = build_project(project, device, find_compiler(device.core))
        counted = count_cycles(project / build.elf, device, entry="model_run")
    return {
        "kernel": name,
        "core": core,
        "compiler": build.compiler,
        "variant": program.kernels["layer"].variant,
        "instructions_per_mac": round(counted.instructions / program.macs, 3),
        "cycles_per_mac": round(counted.core_cycles / program.macs, 3),
        "arena_bytes": program.arena.size,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one compiler only")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    compilers = ["zig"] if options.quick else ["gcc", "zig"]
    if "gcc" in compilers and shutil.which("arm-none-eabi-gcc") is None:
        print("arm-none-eabi-gcc is not on the PATH: zig (Clang) only", file=sys.stderr)
        compilers = ["zig"]
    rows = [
        measure(name, core, compiler)
        for name in LAYERS
        for core in DEVICES
        for compiler in compilers
    ]
    pd.DataFrame(rows).to_csv(Path(__file__).with_suffix(".csv"), index=False)
    if options.json:
        print(json.dumps(rows))
        return 0
    print(f"{'':26}{'core':11}{'compiler':12}{'instructions/MAC':>18}{'cycles/MAC':>12}")
    for row in rows:
        print(
            f"{row['kernel']:26}{row['core']:11}{row['compiler']:12}"
            f"{row['instructions_per_mac']:18.2f}{row['cycles_per_mac']:12.2f}"
        )
    print("Peers, cortex-m4, GCC 12, same timing model:")
    for name, peers in PEERS.items():
        for peer, (instructions, cycles) in peers.items():
            print(f"{name:26}{peer:23}{instructions:18.2f}{cycles:12.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

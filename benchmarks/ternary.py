"""The ternary product against our int8 kernels: instructions and modelled cycles per MAC.

    python -m benchmarks.ternary [--quick] [--latency] [--json]

A linear layer of K inputs and N outputs for 16 and 64 tokens, alone on the models of a Cortex-M4,
an M7 (no flash wait states) and an Xtensa LX7 (code of Debian's compiler in QEMU), table building
and requantisation included. Bits per weight are those of weights and scales in flash; biases are
apart. CMSIS-NN's figures (1x1 convolution, 32 channels, GCC 12 -O3, model of the M4) stand beside
them, and are explained in `benchmarks/kernels.py`. Below: DeiT-Tiny and DeiT-S in this packing
beside the sizes that the FTerViT paper gives. `benchmarks/ternary.csv` holds the rows.

With --latency a DeiT-Tiny runs once, on the virtual NUCLEO-H743ZI2 and as Xtensa code in QEMU:
`benchmarks/ternary_latency.csv`. On the ESP32-S3 its weights do not fit into internal RAM; what
reading them from flash through the cache would add is not modelled, and not in its figure.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from automcu.boards.virtual.machine import count_cycles
from automcu.boards.xtensa import can_emulate, run_project
from automcu.calibration.networks import with_random_weights
from automcu.compiler import compile_graph, write_project
from automcu.compiler.graph import Graph
from automcu.compiler.ops import Convolution
from automcu.compiler.tensor import Window
from automcu.cost.estimation import estimate_program
from automcu.mcu import Device, find_device
from automcu.networks.transformers.family import TransformerShape
from automcu.networks.transformers.survey import transformer_graph
from automcu.toolchains import build_project, find_compiler
from benchmarks.kernels import PEERS, layer_graph

DEVICES = {
    "cortex-m4": "nucleo-l4r5zi",
    "cortex-m7": "stm32f746g-disco",
    "xtensa-lx7": "esp32-s3-devkitc-1",
}
TOKENS = (16, 64)
PRODUCTS = ((192, 192), (192, 768), (768, 192), (384, 1536))
WEIGHTS = ("ternary", "int8")
CMSIS_NN = PEERS["conv 1x1 16x16x32->32"]["CMSIS-NN"]

DEIT = TransformerShape(
    resolution=224, in_channels=3, classes=1000, patch=16, dim=192, depth=12, heads=3
)
# Megabytes in the paper, which has a class token; ours averages the tokens.
TRANSFORMERS = {
    "DeiT-Tiny": (DEIT, 1.6),
    "DeiT-S": (DEIT.model_copy(update={"dim": 384, "heads": 6}), 5.81),
}
SIZE_DEVICE = "nucleo-h743zi2"
LATENCY_DEVICES = (SIZE_DEVICE, "esp32-s3-devkitc-1")
LATENCY_MODEL = "DeiT-Tiny"
_PATIENCE_S = 900.0


def product_graph(tokens: int, k: int, n: int, ternary: bool) -> Graph:
    """One linear layer with random weights."""
    graph = with_random_weights(layer_graph((1, tokens, k), Convolution(Window(1, 1), n)), seed=0)
    if not ternary:
        return graph
    weights = np.random.default_rng(0).integers(-1, 2, (n, 1, 1, k), dtype=np.int8)
    (layer,) = graph.operators
    assert isinstance(layer.attributes, Convolution)
    attributes = replace(layer.attributes, weights=weights, ternary=True, shared_scale=True)
    return replace(graph, operators=(replace(layer, attributes=attributes),))


def measure(core: str, weights: str, tokens: int, k: int, n: int) -> dict[str, object]:
    """Build one layer, run it on the model of `core`, and count."""
    device = find_device(DEVICES[core])
    program = compile_graph(product_graph(tokens, k, n, weights == "ternary"), device)
    kernel = program.kernels["layer"]
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        write_project(program, device.id, project)
        instructions, cycles = counts(project, device)
    sizes = {array.name: array.size for array in kernel.arrays}
    bytes_ = sizes["weights"] + (sizes["multipliers"] if weights == "ternary" else 4 * n)
    return {
        "core": core,
        "weights": weights,
        "tokens": tokens,
        "k": k,
        "n": n,
        "instructions_per_mac": round(instructions / program.macs, 3),
        "cycles_per_mac": round(cycles / program.macs, 3),
        "bits_per_weight": round(8 * bytes_ / (k * n), 3),
        "variant": kernel.variant,
        "compiler": str(find_compiler(device.core)),
        "arena_bytes": program.arena.size,
    }


def counts(project: Path, device: Device) -> tuple[int, int]:
    """Instructions and cycles of one inference, as if memory never waited."""
    if device.core == "xtensa-lx7":
        run = run_project(project, timeout_s=_PATIENCE_S)
        return run.instructions, run.cycles
    build = build_project(project, device, find_compiler(device.core))
    counted = count_cycles(project / build.elf, device, entry="model_run")
    return counted.instructions, counted.core_cycles


def sizes() -> list[dict[str, object]]:
    """Both transformers by our packing, and by the paper's account."""
    device = find_device(SIZE_DEVICE)
    rows = []
    for name, (shape, paper) in TRANSFORMERS.items():
        estimate = estimate_program(compile_graph(transformer_graph(shape), device), device)
        rows.append(
            {
                "model": name,
                "flash_bytes": estimate.flash_bytes,
                "arena_bytes": estimate.arena_bytes,
                "paper_megabytes": paper,
            }
        )
    return rows


def latency(name: str, device: Device) -> dict[str, object]:
    """Run a transformer with random weights once; the estimate of `automcu check` beside it."""
    graph = with_random_weights(transformer_graph(TRANSFORMERS[name][0]), seed=0)
    program = compile_graph(graph, device)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        write_project(program, device.id, project)
        if device.core == "xtensa-lx7":
            cycles = run_project(project, timeout_s=_PATIENCE_S).cycles
        else:
            build = build_project(project, device, find_compiler(device.core))
            elf = project / build.elf
            cycles = count_cycles(elf, device, entry="model_run", timeout_s=_PATIENCE_S).cycles
    estimate = estimate_program(program, device)
    return {
        "model": name,
        "device": device.id,
        "compiler": str(find_compiler(device.core)),
        "flash_bytes": estimate.flash_bytes,
        "arena_bytes": program.arena.size,
        "macs": program.macs,
        "cycles": cycles,
        "milliseconds": round(1e3 * cycles / device.clock_hz),
        "estimated_milliseconds": round(estimate.latency_ms),
    }


def cores(quick: bool) -> list[str]:
    """Those that can run here; all but the Cortex-M4 are left out where it has to be quick."""
    if quick:
        return ["cortex-m4"]
    return [core for core in DEVICES if core != "xtensa-lx7" or can_emulate()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="16 tokens on the Cortex-M4 only")
    parser.add_argument("--latency", action="store_true", help="run a DeiT-Tiny only, for minutes")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.latency:
        found = [latency(LATENCY_MODEL, find_device(name)) for name in LATENCY_DEVICES]
        pd.DataFrame(found).to_csv(Path(__file__).with_name("ternary_latency.csv"), index=False)
        print(json.dumps(found) if options.json else pd.DataFrame(found).to_string(index=False))
        return 0
    rows = [
        measure(core, weights, tokens, k, n)
        for core in cores(options.quick)
        for tokens in (TOKENS[:1] if options.quick else TOKENS)
        for k, n in PRODUCTS
        for weights in WEIGHTS
    ]
    if not options.quick:
        pd.DataFrame(rows).to_csv(Path(__file__).with_suffix(".csv"), index=False)
    if options.json:
        print(json.dumps(rows))
        return 0
    print(
        f"{'core':11}{'weights':9}{'tokens':>6}{'K':>6}{'N':>6}{'instr/MAC':>11}{'cycles/MAC':>12}"
        f"{'bits/weight':>13}"
    )
    for row in rows:
        print(
            f"{row['core']:11}{row['weights']:9}{row['tokens']:6}{row['k']:6}{row['n']:6}"
            f"{row['instructions_per_mac']:11.3f}{row['cycles_per_mac']:12.3f}"
            f"{row['bits_per_weight']:13.3f}"
        )
    print(
        f"CMSIS-NN, conv 1x1, cortex-m4: {CMSIS_NN[0]:.2f} instructions, {CMSIS_NN[1]:.2f} cycles"
    )
    for size in sizes():
        print(
            f"{size['model']}: {size['flash_bytes']:,} B of flash; "
            f"paper {size['paper_megabytes']} MB"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

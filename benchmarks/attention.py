"""Attention in the shape of DeiT-Tiny: the kernel of each core against the portable one.

    python -m benchmarks.attention [--quick] [--json]

196 tokens (--quick: 49), 192 channels, 3 heads, alone on the models of a Cortex-M4, an M7 (no flash
wait states) and an Xtensa LX7. `benchmarks/attention.csv` holds the rows.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import pandas as pd

from automcu.calibration import LayerChain
from automcu.calibration.networks import with_random_weights
from automcu.compiler import compile_graph, write_project
from automcu.compiler.compile import candidates
from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernel import Kernel
from automcu.compiler.ops import Attention
from automcu.mcu import Device, find_device
from benchmarks.ternary import DEVICES, cores, counts

TOKENS, TOKENS_WHEN_QUICK = 196, 49
CHANNELS = 192
HEADS = 3


def special(operator: Operator, graph: Graph, device: Device) -> Kernel:
    """The kernel made for the device's core."""
    return candidates(operator, graph, device)[0]


def portable(operator: Operator, graph: Graph, device: Device) -> Kernel:
    """The portable kernel."""
    return candidates(operator, graph, device)[-1]


def measure(core: str, tokens: int) -> list[dict[str, object]]:
    """A row for each of both kernels."""
    device = find_device(DEVICES[core])
    chain = LayerChain((1, tokens, 3 * CHANNELS))
    chain.append(Attention(HEADS, (CHANNELS / HEADS) ** -0.5))
    graph = with_random_weights(chain.graph(), seed=0)
    rows: list[dict[str, object]] = []
    for choose in (special, portable):
        program = compile_graph(graph, device, choose=choose)
        (kernel,) = program.kernels.values()
        with tempfile.TemporaryDirectory() as folder:
            write_project(program, device.id, Path(folder))
            instructions, cycles = counts(Path(folder), device)
        rows.append(
            {
                "core": core,
                "variant": kernel.variant,
                "tokens": tokens,
                "channels": CHANNELS,
                "heads": HEADS,
                "instructions_per_mac": round(instructions / program.macs, 3),
                "cycles_per_mac": round(cycles / program.macs, 3),
                "scratch_bytes": kernel.scratch_bytes,
            }
        )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer tokens on the Cortex-M4 only")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    tokens = TOKENS_WHEN_QUICK if options.quick else TOKENS
    rows = [row for core in cores(options.quick) for row in measure(core, tokens)]
    if not options.quick:
        pd.DataFrame(rows).to_csv(Path(__file__).with_suffix(".csv"), index=False)
    print(json.dumps(rows) if options.json else pd.DataFrame(rows).to_string(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What row tiling of layers saves in RAM, and what it costs in cycles and flash.

    python -m benchmarks.row_tiling [--json]

Image classification of MLPerf Tiny (from `$AUTOMCU_DATA` or `../shared/data`) and a MobileNetV2 of
96x96 pixels at width 0.35 with random weights, under limits on the arena. Each is linked and run
on a virtual NUCLEO-L4R5ZI: cycles are those of its timing model, flash wait states included, and
the output must equal the integer reference. `benchmarks/row_tiling.csv` holds the rows.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from automcu.boards.bench import bench_project
from automcu.calibration import LayerChain
from automcu.calibration.networks import with_random_weights
from automcu.compiler import Graph, compile_graph, import_model, write_project
from automcu.compiler.ops import Add, Convolution
from automcu.compiler.tensor import Window
from automcu.compiler.tiling.chain import RowTiling
from automcu.errors import AutomcuError
from automcu.mcu import find_device
from automcu.toolchains import build_project, find_compiler
from benchmarks.mlperf_tiny import MODELS, data_folder

DEVICE = "nucleo-l4r5zi"
SHARES = (1.0, 0.75, 0.5, 0.0)  # of the arena of the network whole
_WIDTH_035 = (
    # expansion, channels, blocks, stride
    (1, 8, 1, 1),
    (6, 8, 2, 2),
    (6, 16, 3, 2),
    (6, 24, 4, 2),
    (6, 32, 3, 1),
    (6, 56, 3, 2),
    (6, 112, 1, 1),
)


def _append_block(network: LayerChain, expansion: int, channels: int, stride: int) -> None:
    """An inverted residual: widened, filtered depthwise, narrowed."""
    before, entered, wide = network.last, network.shape, network.shape[2] * expansion
    if expansion > 1:
        network.append(Convolution(Window(1, 1), wide))
    same = Window(3, 3, (stride, stride), (1, 1, 1, 1) if stride == 1 else (0, 0, 1, 1))
    network.append(Convolution(same, wide, groups=wide))
    network.append(Convolution(Window(1, 1), channels))
    if network.shape == entered:
        network.append(Add(), before)


def mobilenet() -> Graph:
    """MobileNetV2 (Sandler et al., 2018, table 2) at width 0.35 for 96x96 pixels, ten classes."""
    network = LayerChain((96, 96, 3))
    network.append(Convolution(Window(3, 3, (2, 2), (0, 0, 1, 1)), 16))
    for expansion, channels, blocks, stride in _WIDTH_035:
        for block in range(blocks):
            _append_block(network, expansion, channels, stride if block == 0 else 1)
    network.append(Convolution(Window(1, 1), 448))
    height, width, _ = network.shape
    network.append(Convolution(Window(height, width), 10))
    return with_random_weights(network.graph(), seed=0)


def measure(name: str, graph: Graph, share: float) -> dict[str, object]:
    """Compile under a limit, link, run once."""
    device = find_device(DEVICE)
    limit = int(share * compile_graph(graph, device).arena.size)
    program = compile_graph(graph, device, limit)
    shape = program.graph.tensors[program.graph.input].shape
    image = np.random.default_rng(0).integers(-128, 128, (1, *shape), dtype=np.int8)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        write_project(program, device.id, project, golden_inputs=image)
        build = build_project(project, device, find_compiler(device.core))
        measured = bench_project(project, device, "virtual")
    if measured.mismatches:
        raise AssertionError(f"{name} with {limit} bytes differs from the reference")
    chains = [op for op in program.graph.operators if isinstance(op.attributes, RowTiling)]
    return {
        "network": name,
        "limit_bytes": limit,
        "arena_bytes": build.arena_bytes,
        "chains": len(chains),
        "fewest_rows": min((op.attributes.rows for op in chains), default=None),
        "cycles": sum(layer.cycles for layer in measured.layers),
        "flash_bytes": build.flash_bytes,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    try:
        model = import_model(data_folder() / "mlperf_tiny" / MODELS["ic"])
        networks = {"image classification": model, "MobileNetV2 0.35, 96x96": mobilenet()}
        rows = [measure(name, graph, share) for name, graph in networks.items() for share in SHARES]
    except AutomcuError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    table = pd.DataFrame(rows).drop_duplicates(subset=["network", "arena_bytes"])
    for column in ("arena_bytes", "cycles", "flash_bytes"):
        whole = table.groupby("network")[column].transform("first")
        table[f"{column}_ratio"] = (table[column] / whole).round(3)
    table.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    print(json.dumps(table.to_dict("records")) if options.json else table.to_string(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Fit the cost model to networks run on virtual boards, and write what was fitted into the project.

    python -m benchmarks.fit_cost_model [--device ID] [--compiler gcc|zig] [--quick] [--json]

Cycles per unit of work go into hw_profiles/ID.toml, code sizes into automcu/cost/code_sizes.json.
Part of the networks is kept out of the fit; the table shows how far off the model is on those.
"""

import argparse
import json
import os
import re
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from scipy.optimize import nnls

from automcu.calibration import CodeObservation, Observed, chain, observe
from automcu.cost.architecture_graph import architecture_graph
from automcu.cost.code_size import SIZES_FILE, CodeSizes, RuntimeSize, code_units
from automcu.cost.latency import Fit, fit, layer_cycles
from automcu.devices import all_devices, find_device
from automcu.devices.profile import Device
from automcu.errors import WrongInputError
from automcu.records import write_atomically
from automcu.resources import resource_folder
from automcu.space import Architecture, Cell, Skeleton
from automcu.toolchains import find_compiler

CHAINS = 20
NETWORKS = 6
HELD_OUT = 4
_SKELETONS = (
    Skeleton(stem_channels=4, cells_per_stage=1, resolution=8, input_channels=1),
    Skeleton(stem_channels=8, cells_per_stage=2, resolution=8, input_channels=1),
    Skeleton(stem_channels=8, cells_per_stage=1, resolution=16, input_channels=3),
    Skeleton(stem_channels=16, cells_per_stage=1, resolution=12, input_channels=3),
    Skeleton(stem_channels=12, cells_per_stage=1, resolution=10, input_channels=1),
)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    device: str
    compiler: str
    layers: int
    worst_layer_percent: float
    worst_network_percent: float
    median_network_percent: float


def networks(count: int, seed: int) -> list[Architecture]:
    """Random connected architectures, the skeletons in turn."""
    generator = np.random.default_rng(seed)
    found: list[Architecture] = []
    while len(found) < count:
        cell = Cell.from_index(int(generator.integers(15625)))
        if cell.is_connected:
            skeleton = _SKELETONS[len(found) % len(_SKELETONS)]
            found.append(Architecture(cell=str(cell), skeleton=skeleton))
    return found


def observations(device: Device, chains: int, cells: int) -> tuple[list[Observed], list[Observed]]:
    """What was seen of the networks to fit, and of those that are held out."""
    graphs = [chain(seed) for seed in range(chains)]
    graphs += [architecture_graph(a) for a in networks(cells + HELD_OUT, seed=1)]
    with ThreadPoolExecutor(2) as pool:
        seen = list(
            pool.map(lambda job: observe(job[1], device, "virtual", seed=job[0]), enumerate(graphs))
        )
    return seen[:-HELD_OUT], seen[-HELD_OUT:]


def fit_bytes(code: list[CodeObservation], whole: bool) -> dict[str, float]:
    """Bytes per part of kernels (`whole` False: of a layer around its kernel)."""
    by_category: dict[str, list[CodeObservation]] = defaultdict(list)
    for item in code:
        by_category[item.kernel.category].append(item)
    sizes: dict[str, float] = {}
    for category, items in sorted(by_category.items()):
        if not whole:
            sizes[category] = round(float(np.mean([item.code_bytes for item in items])), 2)
            continue
        names = sorted({name for item in items for name in code_units(item.kernel)})
        parts = np.array([[code_units(i.kernel).get(n, 0) for n in names] for i in items], float)
        solution, _ = nnls(parts, np.array([float(item.code_bytes) for item in items]))
        sizes.update(zip(names, (round(float(v), 2) for v in solution), strict=True))
    return sizes


def row(device: Device, compiler: str, fitted: Fit, held_out: list[Observed]) -> Row:
    """How the fitted model does on networks that it has not seen."""
    errors = []
    for seen in held_out:
        modelled = sum(layer_cycles(o.kernel, fitted.coefficients) for o in seen.cycles)
        errors.append(100 * abs(modelled / sum(o.cycles for o in seen.cycles) - 1))
    return Row(
        device.id,
        compiler,
        sum(len(seen.cycles) for seen in held_out),
        round(fitted.residual_percent, 1),
        round(max(errors), 2),
        round(float(np.median(errors)), 2),
    )


def write_profile(device: Device, compiler: str, version: str, fitted: Fit) -> None:
    """Replace the profile's [[latency]] table of this compiler."""
    path = resource_folder("hw_profiles") / f"{device.id}.toml"
    head, *tables = re.split(r"(?m)^(?=\[\[latency\]\]$)", path.read_text())
    kept = [table.strip() for table in tables if f'compiler = "{compiler}"' not in table]
    lines = [
        "[[latency]]",
        'source = "virtual"',
        f'date = "{datetime.now(UTC).date().isoformat()}"',
        f'compiler = "{compiler}"',
        f'compiler_version = "{version}"',
        f"residual_percent = {fitted.residual_percent:.1f}",
        "",
        "[latency.coefficients]",
        *(f'"{name}" = {value:.4g}' for name, value in sorted(fitted.coefficients.items())),
    ]
    text = "\n\n".join([head.strip(), *kept, "\n".join(lines)]) + "\n"
    write_atomically(path, text.encode())


def write_sizes(device: Device, compiler: str, seen: list[Observed]) -> None:
    """Merge what this device's firmwares showed into code_sizes.json."""
    try:
        known = CodeSizes.load(SIZES_FILE)
    except WrongInputError:
        known = CodeSizes(kernels={}, layers={}, runtimes={})
    core = f"{device.core}/{compiler}"
    runtime = RuntimeSize(
        flash_bytes=round(float(np.median([s.runtime.flash_bytes for s in seen]))),
        ram_bytes=round(float(np.median([s.runtime.ram_bytes for s in seen]))),
    )
    CodeSizes(
        kernels={**known.kernels, core: fit_bytes([k for s in seen for k in s.kernels], True)},
        layers={**known.layers, core: fit_bytes([k for s in seen for k in s.layers], False)},
        runtimes={**known.runtimes, f"{device.family}/{core}": runtime},
    ).save(SIZES_FILE)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", action="append")
    parser.add_argument("--compiler", action="append", choices=("gcc", "zig"))
    parser.add_argument("--quick", action="store_true", help="few networks; writes nothing")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    devices = (
        [find_device(name) for name in options.device]
        if options.device
        else [d for d in all_devices().values() if d.core.startswith("cortex")]
    )
    rows = []
    for device in devices:
        for kind in options.compiler or ("zig", "gcc"):
            os.environ["AUTOMCU_COMPILER"] = kind
            compiler = find_compiler(device.core)
            print(f"{device.id}, {compiler}", file=sys.stderr)
            seen, held_out = observations(
                device, 4 if options.quick else CHAINS, 2 if options.quick else NETWORKS
            )
            fitted = fit([o for s in seen for o in s.cycles])
            if not options.quick:
                write_profile(device, kind, compiler.version, fitted)
                write_sizes(device, kind, seen)
            rows.append(row(device, kind, fitted, held_out))
    if options.json:
        print(json.dumps([vars(r) for r in rows]))
    else:
        for r in rows:
            print(
                f"{r.device:22} {r.compiler:4} worst layer {r.worst_layer_percent:5.1f} %  "
                f"networks: median {r.median_network_percent:.2f} %, "
                f"worst {r.worst_network_percent:.2f} %"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Fit the code size model to linked firmwares, and write it into automcu/cost/code_sizes.json.

    python -m benchmarks.fit_code_sizes [--device ID] [--compiler gcc|zig] [--quick] [--json]

Firmwares are linked, not run: layers with kernels drawn by lot, so that all have figures, and
networks of the space with the kernels that a user gets. Bytes by kernel and by layer go to the
core's figures, those of the rest to the family's; of a second family with one core only the rest
is new. The table shows how far off the model is for the
flash of networks that are kept out of the fit.
"""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product

import numpy as np
from scipy.optimize import nnls

from automcu.calibration import (
    HELD_OUT,
    CodeObservation,
    Observed,
    arena_limit_bytes,
    calibration_graphs,
    deep_graphs,
    observe_code,
    small_graphs,
    varied_choice,
)
from automcu.compiler.graph import Graph
from automcu.compiler.kernels import choose_kernel
from automcu.cost.code_size import (
    SIZES_FILE,
    CodeSizes,
    RuntimeSize,
    code_sizes,
    code_units,
    function_bytes,
    layer_bytes,
    layer_unit,
    runtime_size,
)
from automcu.devices import find_device, find_part, profile_of, shipped_devices
from automcu.devices.profile import Device
from automcu.errors import DoesNotFitError, WrongInputError
from automcu.toolchains import find_compiler
from benchmarks.fit_cost_model import compilers_for

DEVICES = (
    "stm32f407g-disc1",
    "nucleo-l4r5zi",
    "stm32f746g-disco",
    "nucleo-h743zi2",
    "nucleo-u575zi-q",
    "nrf5340-dk",
    "esp32-s3-devkitc-1",
)
PARTS = ("nrf52840-qiaa",)
"""One for each family; of the last there is no board among the profiles."""

CHAINS, NETWORKS, DEEP, SMALL = 20, 6, 9, 28
RUNTIMES, JUDGES = 8, 8
_THREADS = 2


@dataclass(frozen=True)
class Row:
    """Networks that are kept out of the fit; percent are of the flash without weights."""

    device: str
    compiler: str
    linked: int
    median_percent: float
    worst_percent: float
    worst_bytes: float


def linked(graphs: Sequence[Graph], device: Device, by_lot: bool) -> list[Observed]:
    """Link what fits; by lot, every kernel has its turn, and some layers run by rows."""

    def one(job: tuple[int, Graph]) -> Observed:
        seed, graph = job
        if by_lot:
            limit, choose = arena_limit_bytes(seed), varied_choice(seed)
            return observe_code(graph, device, seed, limit, choose)
        return observe_code(graph, device, seed, None, choose_kernel)

    def one_that_fits(job: tuple[int, Graph]) -> Observed | None:
        try:
            return one(job)
        except DoesNotFitError:
            return None

    with ThreadPoolExecutor(_THREADS) as pool:
        return [seen for seen in pool.map(one_that_fits, enumerate(graphs)) if seen]


def fitted(code: Sequence[CodeObservation], whole: bool) -> dict[str, float]:
    """Bytes per part of kernels (`whole` False: of a layer around its kernel)."""
    units = [code_units(i.kernel) if whole else {layer_unit(i.kernel, i.callers): 1} for i in code]
    names = sorted({name for parts in units for name in parts})
    parts = np.array([[parts.get(name, 0) for name in names] for parts in units], float)
    solution, _ = nnls(parts, np.array([float(item.code_bytes) for item in code]))
    return dict(zip(names, (round(float(v), 2) for v in solution), strict=True))


def known_sizes() -> CodeSizes:
    """What the file holds."""
    try:
        return CodeSizes.load(SIZES_FILE)
    except WrongInputError:
        return CodeSizes(kernels={}, layers={}, runtimes={})


def write_runtime(device: Device, compiler: str, usual: Sequence[Observed]) -> None:
    """Merge the median of what is neither kernel nor layer into the file."""
    # Where constants are copied to RAM, those of layers count as the runtime's: the most of them.
    of_ram = np.max if device.weights_in_ram else np.median
    runtime = RuntimeSize(
        flash_bytes=round(float(np.median([s.runtime.flash_bytes for s in usual]))),
        ram_bytes=round(float(of_ram([s.runtime.ram_bytes for s in usual]))),
    )
    known = known_sizes()
    key = f"{device.family}/{device.core}/{compiler}"
    save(known.model_copy(update={"runtimes": {**known.runtimes, key: runtime}}))


def write_core(device: Device, compiler: str, seen: Sequence[Observed]) -> None:
    """Merge what kernels and layers take into the file; those that were not seen stay."""
    known = known_sizes()
    core = f"{device.core}/{compiler}"
    shared = {f"shared/{name}": float(size) for s in seen for name, size in s.shared.items()}
    kernels = fitted([k for s in seen for k in s.kernels], True) | shared
    layers = fitted([k for s in seen for k in s.layers], False)
    save(
        CodeSizes(
            kernels={**known.kernels, core: {**known.kernels.get(core, {}), **kernels}},
            layers={**known.layers, core: {**known.layers.get(core, {}), **layers}},
            runtimes=known.runtimes,
        )
    )


def save(sizes: CodeSizes) -> None:
    """Write the file, and have the model read it again."""
    sizes.save(SIZES_FILE)
    code_sizes.cache_clear()


def error_bytes(seen: Observed, device: Device, compiler: str) -> float:
    """Modelled less linked bytes of everything but the weights."""
    callers = Counter(layer.kernel.function for layer in seen.layers)
    functions = sum(function_bytes(one.kernel, device, compiler) for one in seen.kernels)
    layers = sum(
        float(layer_bytes(one.kernel, device, compiler).of(np.array(callers[one.kernel.function])))
        for one in seen.kernels
    )
    modelled = runtime_size(device, compiler).flash_bytes + functions + layers
    return modelled + sum(seen.shared.values()) - code_bytes(seen)


def code_bytes(seen: Observed) -> int:
    """Linked bytes of everything but the weights."""
    parts = sum(one.code_bytes for one in (*seen.kernels, *seen.layers))
    return seen.runtime.flash_bytes + parts + sum(seen.shared.values())


def fit_device(device: Device, kind: str, whole_core: bool, quick: bool) -> Row:
    """Link, fit, write, and judge; without `whole_core`, fit the runtime only."""
    few = 4 if quick else 1
    by_lot, usual = [], small_graphs(RUNTIMES)
    if whole_core:
        by_lot = calibration_graphs(CHAINS // few, NETWORKS // few)[:-HELD_OUT]
        usual = deep_graphs(DEEP // few) + small_graphs(SMALL // few)
    seen_by_lot, seen = linked(by_lot, device, True), linked(usual, device, False)
    if not quick:
        write_runtime(device, kind, seen)
        if whole_core:
            write_core(device, kind, seen_by_lot + seen)
    held_out = linked(small_graphs(SMALL + JUDGES)[SMALL:], device, False)
    errors = np.array([error_bytes(one, device, kind) for one in held_out])
    percent = 100 * np.abs(errors) / np.array([code_bytes(one) for one in held_out])
    return Row(
        device.id,
        kind,
        len(seen_by_lot) + len(seen),
        round(float(np.median(percent)), 2),
        round(float(percent.max()), 2),
        float(errors[np.abs(errors).argmax()]),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", action="append")
    parser.add_argument("--compiler", action="append", choices=("gcc", "zig"))
    parser.add_argument("--quick", action="store_true", help="few networks; writes nothing")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    devices = [find_device(name) for name in options.device or DEVICES]
    if not options.device:
        shipped = list(shipped_devices().values())
        devices += [profile_of(find_part(part), shipped) for part in PARTS]
    rows = []
    cores = set()
    for device, kind in product(devices, options.compiler or ("gcc", "zig")):
        if kind not in compilers_for(device):
            continue
        os.environ["AUTOMCU_COMPILER"] = kind
        print(f"{device.id}, {find_compiler(device.core)}", file=sys.stderr)
        core = (device.core, kind)
        rows.append(fit_device(device, kind, core not in cores, options.quick))
        cores.add(core)
    if options.json:
        print(json.dumps([asdict(row) for row in rows]))
        return 0
    for row in rows:
        print(
            f"{row.device:20} {row.compiler:4} {row.linked:3} linked; kept out: median "
            f"{row.median_percent:.2f} %, worst {row.worst_percent:.2f} % "
            f"({row.worst_bytes:+.0f} bytes)"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

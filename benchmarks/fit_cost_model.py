"""Fit the cost model to networks run on virtual boards, and write what was fitted into the project.

    python -m benchmarks.fit_cost_model [--device ID] [--compiler gcc|zig]
                                        [--quick|--layer-sizes|--transformers|--check]

Those of an ESP32-S3 run in Debian's qemu-system-xtensa (--device esp32-s3-devkitc-1). Cycles per
unit of work go into hw_profiles/ID.toml, code sizes into automcu/cost/code_sizes.json.
Part of the networks is kept out of the fit; the table shows how far off the model is on those, and
the profile keeps the largest of these errors as its error bar. --check fits nothing: it runs those
networks against the figures as they are and writes the error bar alone. --transformers fits only
what chains of transformers' layers and ternary convolutions take, and leaves all other figures.
"""

import argparse
import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from automcu.calibration import (
    HELD_OUT,
    HELD_OUT_TRANSFORMERS,
    CodeObservation,
    Observed,
    calibration_graphs,
    deep_graphs,
    latency_record,
    network_errors,
    observe_all,
    observe_code,
    transformer_graphs,
    varied_choice,
    with_figures,
)
from automcu.cost.code_size import SIZES_FILE, CodeSizes, RuntimeSize, code_units, layer_unit
from automcu.cost.latency import Fit, fit, latency_of
from automcu.devices import all_devices, find_device
from automcu.devices.profile import Device
from automcu.devices.write import with_latency
from automcu.errors import DoesNotFitError, WrongInputError
from automcu.records import write_atomically
from automcu.resources import resource_folder
from automcu.toolchains import Compiler, find_compiler

CHAINS = 20
NETWORKS = 6
DEEP_NETWORKS = 9


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    device: str
    compiler: str
    layers: int
    worst_layer_percent: float
    worst_network_percent: float
    median_network_percent: float


def observations(
    device: Device, compiler: Compiler, chains: int, cells: int
) -> tuple[Fit, list[Observed], list[Observed]]:
    """The fit, what was seen of the networks for it, and of those that are to judge it.

    The former have kernels drawn by lot, the latter those that the fitted figures choose.
    """
    graphs = calibration_graphs(chains, cells)
    seen = observe_all(graphs[:-HELD_OUT], device, "virtual", choice=varied_choice)
    fitted = fit([o for s in seen for o in s.cycles])
    judge = with_figures(device, latency_record(fitted, compiler.kind, compiler.version))
    return fitted, seen, observe_all(graphs[-HELD_OUT:], judge, "virtual")


def linked_networks(device: Device, chains: int, cells: int) -> list[Observed]:
    """What firmwares show without being run; networks with many layers of one shape among them.

    Those that do not fit the device are left out.
    """
    graphs = calibration_graphs(chains, cells)[:-HELD_OUT] + deep_graphs(DEEP_NETWORKS)
    linked = []
    for seed, graph in enumerate(graphs):
        with suppress(DoesNotFitError):
            linked.append(observe_code(graph, device, seed))
    return linked


def fit_transformers(device: Device, kind: str) -> Row:
    """Add figures of transformers' and ternary kernels to those that the profile has.

    The error bar grows if transformers need it to.
    """
    known = latency_of(device, kind)
    seen = observe_all(transformer_graphs(CHAINS), device, "virtual", choice=varied_choice)
    fitted = fit([o for s in seen for o in s.cycles])
    coefficients = {**known.coefficients, **fitted.coefficients}
    latency = known.model_copy(
        update={
            "coefficients": dict(sorted(coefficients.items())),
            "residual_percent": max(known.residual_percent, round(fitted.residual_percent, 1)),
        }
    )
    judging = calibration_graphs(0, 0)[-HELD_OUT_TRANSFORMERS:]
    held_out = observe_all(judging, with_figures(device, latency), "virtual")
    errors = network_errors(coefficients, held_out)
    bar = max(known.network_percent or 0.0, round(errors.worst_percent, 1))
    latency = latency.model_copy(update={"network_percent": bar})
    path = resource_folder("hw_profiles") / f"{device.id}.toml"
    write_atomically(path, with_latency(path.read_text(), latency).encode())
    write_kernel_sizes(device, kind, seen)
    write_layer_sizes(device, kind, seen)
    layers = sum(len(s.cycles) for s in held_out)
    return Row(device.id, kind, layers, latency.residual_percent, bar, errors.median_percent)


def checked(device: Device, kind: str) -> Row:
    """Write the error bar of a profile's figures as they are."""
    figures = latency_of(device, kind)
    held_out = observe_all(calibration_graphs(0, NETWORKS)[-HELD_OUT:], device, "virtual")
    errors = network_errors(figures.coefficients, held_out)
    path = resource_folder("hw_profiles") / f"{device.id}.toml"
    bar = figures.model_copy(update={"network_percent": round(errors.worst_percent, 1)})
    write_atomically(path, with_latency(path.read_text(), bar).encode())
    layers = sum(len(seen.cycles) for seen in held_out)
    return Row(
        device.id,
        kind,
        layers,
        figures.residual_percent,
        errors.worst_percent,
        errors.median_percent,
    )


def fit_bytes(code: list[CodeObservation], whole: bool) -> dict[str, float]:
    """Bytes per part of kernels (`whole` False: of a layer around its kernel)."""
    units = [code_units(i.kernel) if whole else {layer_unit(i.kernel, i.callers): 1} for i in code]
    names = sorted({name for parts in units for name in parts})
    parts = np.array([[parts.get(name, 0) for name in names] for parts in units], float)
    solution, _ = nnls(parts, np.array([float(item.code_bytes) for item in code]))
    return dict(zip(names, (round(float(v), 2) for v in solution), strict=True))


def row(device: Device, compiler: str, fitted: Fit, held_out: list[Observed]) -> Row:
    """How the fitted model does on networks that it has not seen."""
    errors = network_errors(fitted.coefficients, held_out)
    return Row(
        device.id,
        compiler,
        sum(len(seen.cycles) for seen in held_out),
        round(fitted.residual_percent, 1),
        errors.worst_percent,
        errors.median_percent,
    )


def write_profile(
    device: Device, compiler: str, version: str, fitted: Fit, held_out: list[Observed]
) -> None:
    """Replace the profile's [[latency]] table of this compiler."""
    path = resource_folder("hw_profiles") / f"{device.id}.toml"
    latency = latency_record(fitted, compiler, version, held_out)
    write_atomically(path, with_latency(path.read_text(), latency).encode())


def write_sizes(device: Device, compiler: str, seen: list[Observed]) -> None:
    """Merge what this device's firmwares showed into code_sizes.json."""
    try:
        known = CodeSizes.load(SIZES_FILE)
    except WrongInputError:
        known = CodeSizes(kernels={}, layers={}, runtimes={})
    core = f"{device.core}/{compiler}"
    # Where constants are copied to RAM, those of layers count as the runtime's: the most of them.
    of_ram = np.max if device.weights_in_ram else np.median
    runtime = RuntimeSize(
        flash_bytes=round(float(np.median([s.runtime.flash_bytes for s in seen]))),
        ram_bytes=round(float(of_ram([s.runtime.ram_bytes for s in seen]))),
    )
    CodeSizes(
        kernels={**known.kernels, core: _kernel_sizes(seen)},
        layers=known.layers,
        runtimes={**known.runtimes, f"{device.family}/{core}": runtime},
    ).save(SIZES_FILE)


def _kernel_sizes(seen: list[Observed]) -> dict[str, float]:
    shared = {f"shared/{name}": float(size) for s in seen for name, size in s.shared.items()}
    return fit_bytes([k for s in seen for k in s.kernels], True) | shared


def write_kernel_sizes(device: Device, compiler: str, seen: list[Observed]) -> None:
    """Merge what kernels take; those that these networks do not hold stay."""
    known = CodeSizes.load(SIZES_FILE)
    core = f"{device.core}/{compiler}"
    merged = {**known.kernels.get(core, {}), **_kernel_sizes(seen)}
    known.model_copy(update={"kernels": {**known.kernels, core: merged}}).save(SIZES_FILE)


def write_layer_sizes(device: Device, compiler: str, seen: list[Observed]) -> None:
    """Merge what layers take around their kernels; what these networks do not hold stays."""
    known = CodeSizes.load(SIZES_FILE)
    core = f"{device.core}/{compiler}"
    layers = fit_bytes([k for s in seen for k in s.layers], False)
    merged = {**known.layers.get(core, {}), **layers}
    known.model_copy(update={"layers": {**known.layers, core: merged}}).save(SIZES_FILE)


def compilers_for(device: Device) -> tuple[str, ...]:
    """The kinds of compilers that there are for a device's core."""
    return ("gcc",) if device.core == "xtensa-lx7" else ("gcc", "zig")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", action="append")
    parser.add_argument("--compiler", action="append", choices=("gcc", "zig"))
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--quick", action="store_true", help="few networks; writes nothing")
    amount.add_argument(
        "--layer-sizes", action="store_true", help="those of layers only: nothing runs"
    )
    amount.add_argument(
        "--transformers", action="store_true", help="only their kernels and ternary ones"
    )
    amount.add_argument("--check", action="store_true", help="fit nothing, write the error bar")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    devices = (
        [find_device(name) for name in options.device]
        if options.device
        else [d for d in all_devices().values() if d.core.startswith("cortex")]
    )
    rows = []
    for device in devices:
        for kind in options.compiler or compilers_for(device):
            os.environ["AUTOMCU_COMPILER"] = kind
            compiler = find_compiler(device.core)
            print(f"{device.id}, {compiler}", file=sys.stderr)
            if options.check:
                if any(one.compiler == kind for one in device.latency):
                    rows.append(checked(device, kind))
                continue
            if options.transformers:
                rows.append(fit_transformers(device, kind))
                continue
            if options.layer_sizes:
                write_layer_sizes(device, kind, linked_networks(device, CHAINS, NETWORKS))
                continue
            fitted, seen, held_out = observations(
                device, compiler, 4 if options.quick else CHAINS, 2 if options.quick else NETWORKS
            )
            if not options.quick:
                write_profile(device, kind, compiler.version, fitted, held_out)
                write_sizes(device, kind, seen)
                write_layer_sizes(device, kind, seen + linked_networks(device, 0, 0))
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

"""Fit the latency model to networks run on virtual boards, and write it into the profiles.

    python -m benchmarks.fit_cost_model [--device ID] [--compiler gcc|zig]
                                        [--quick|--transformers|--check]

Cycles per unit of work go into hw_profiles/ID.toml (bytes: `benchmarks.fit_code_sizes`). Those of
an ESP32-S3 are counted in Debian's qemu-system-xtensa.
Part of the networks is kept out of the fit; the table shows how far off the model is on those, and
the profile keeps the largest of these errors as its error bar. --check fits nothing: it runs those
networks against the figures as they are and writes the error bar alone. --transformers fits only
what chains of transformers' layers and ternary convolutions take, and leaves all other figures.
"""

import argparse
import json
import os
import sys
from dataclasses import dataclass

from automcu.calibration import (
    HELD_OUT,
    HELD_OUT_TRANSFORMERS,
    Observed,
    calibration_graphs,
    latency_record,
    network_errors,
    observe_all,
    transformer_graphs,
    varied_choice,
    with_figures,
)
from automcu.cost.latency import Fit, fit, latency_of
from automcu.devices import all_devices, find_device
from automcu.devices.profile import Device
from automcu.devices.write import with_latency
from automcu.records import write_atomically
from automcu.resources import resource_folder
from automcu.toolchains import Compiler, find_compiler

CHAINS = 20
NETWORKS = 6


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
) -> tuple[Fit, list[Observed]]:
    """The fit, and what was seen of the networks that are to judge it.

    Those of the fit have kernels drawn by lot, the latter those that the fitted figures choose.
    """
    graphs = calibration_graphs(chains, cells)
    seen = observe_all(graphs[:-HELD_OUT], device, "virtual", choice=varied_choice)
    fitted = fit([o for s in seen for o in s.cycles])
    judge = with_figures(device, latency_record(fitted, compiler.kind, compiler.version))
    return fitted, observe_all(graphs[-HELD_OUT:], judge, "virtual")


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
            fitted, held_out = observations(
                device, compiler, 4 if options.quick else CHAINS, 2 if options.quick else NETWORKS
            )
            if not options.quick:
                write_profile(device, kind, compiler.version, fitted, held_out)
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

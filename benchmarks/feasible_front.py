"""The most accurate networks of the space that fit: AutoMCU's strict tier, and each board.

    python -m benchmarks.feasible_front [--device ID] [--quick] [--json]

Every cell of NAS-Bench-201's own skeleton (16 stem channels, 5 cells a stage, 32x32x3) is judged
on each board; of those that fit, the table shows the one with the best known accuracy. The
strict tier of AutoMCU's paper is 256 KB of RAM and 512 KB of flash, here on a Cortex-M4.

Accuracies are looked up, not trained here: CIFAR-10 int8 from AnalogNAS-Bench (the
`analog-nasbench` package; quantised after training, and with training for it), CIFAR-100 from
NAS-Bench-201 itself (float, test set after 200 epochs, mean of the seeds; from
`$AUTOMCU_DATA/nb201_core.csv.gz` or `../shared/data`, left out where that is missing). The best
of thousands of noisy figures is an optimistic one. Latency is modelled. AutoMCU reports 87.62 %
and 58.70 %. `benchmarks/feasible_front.csv` holds the rows.
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from automcu.errors import AutomcuError, WrongInputError
from automcu.mcu import Device, find_device
from automcu.networks.cells.accuracies import accuracy_prior
from automcu.networks.cells.skeleton import Skeleton, Survey
from automcu.networks.cells.survey import survey
from benchmarks.accuracies import benchmark_table
from benchmarks.exactness import boards_with_figures

AUTOMCU_PERCENT = {"CIFAR-10": 87.62, "CIFAR-100": 58.70}
_TIER = "AutoMCU's strict tier"
_TIER_BYTES = {"ram": 256 * 1024, "flash": 512 * 1024}
_TIER_BOARD = "stm32f407g-disc1"
_CELLS = 15625


@dataclass(frozen=True)
class Accuracies:
    """Accuracy in percent by cell index, NaN where unknown, and where it is from."""

    dataset: str
    kind: str
    source: str
    percent: NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """The best cell of one table on one board, with what it needs there."""

    board: str
    dataset: str
    kind: str
    feasible: int
    index: int
    cell: str
    accuracy_percent: float
    automcu_percent: float
    latency_ms: float
    flash_bytes: int
    ram_bytes: int
    survey_seconds: float
    accuracy_source: str


def tables(classes: int) -> list[Accuracies]:
    """The accuracy tables for networks with so many classes."""
    if classes == 10:
        return [
            Accuracies("CIFAR-10", kind, accuracy_prior(key).source, accuracy_prior(key).accuracies)
            for kind, key in (("int8", "int8"), ("int8, trained for it", "int8-trained"))
        ]
    path = benchmark_table()
    if path is None:
        print("nb201_core.csv.gz is not there: CIFAR-100 is left out", file=sys.stderr)
        return []
    known = pd.read_csv(path, usecols=["idx", "c100_test200"])
    percent = np.full(_CELLS, np.nan)
    percent[known.idx.to_numpy()] = known.c100_test200.to_numpy()
    return [Accuracies("CIFAR-100", "float", "NAS-Bench-201, test set, 200 epochs", percent)]


def tier() -> Device:
    """A Cortex-M4 with exactly the tier's memory, all of it in one piece."""
    board = find_device(_TIER_BOARD)
    largest = {
        kind: max((r for r in board.memory if r.kind == kind), key=lambda r: r.size)
        for kind in _TIER_BYTES
    }
    holds = {"flash": ("code", "weights"), "ram": ("data", "stack", "arena")}
    memory = [
        region.model_copy(update={"size": _TIER_BYTES[kind], "holds": holds[kind]})
        for kind, region in largest.items()
    ]
    return board.model_copy(update={"memory": tuple(memory)})


def best(found: Survey, board: str, accuracies: Accuracies) -> Row | None:
    """The feasible cell with the highest accuracy; None where none fits."""
    known = [c for c in found.feasible_cells if not np.isnan(accuracies.percent[c.index])]
    if not known:
        return None
    cell = max(known, key=lambda c: (accuracies.percent[c.index], -c.latency_ms))
    return Row(
        board=board,
        dataset=accuracies.dataset,
        kind=accuracies.kind,
        feasible=found.feasible,
        index=cell.index,
        cell=cell.architecture,
        accuracy_percent=round(float(accuracies.percent[cell.index]), 2),
        automcu_percent=AUTOMCU_PERCENT[accuracies.dataset],
        latency_ms=round(cell.latency_ms, 2),
        flash_bytes=cell.flash_bytes,
        ram_bytes=cell.ram_bytes,
        survey_seconds=round(found.seconds, 2),
        accuracy_source=accuracies.source,
    )


def boards(names: list[str] | None, quick: bool) -> dict[str, Device]:
    """The tier, and the boards asked for or all with figures for the compiler that is here."""
    chosen = {_TIER: tier()}
    if quick:
        return chosen
    if names:
        return chosen | {device.id: device for device in map(find_device, names)}
    return chosen | {device.id: device for device in boards_with_figures()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", action="append", help="only the tier and this board")
    parser.add_argument("--quick", action="store_true", help="only the tier; writes no CSV")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows: list[Row] = []
    for classes in (10, 100):
        known = tables(classes)
        if not known:
            continue
        for name, device in boards(options.device, options.quick).items():
            try:
                found = survey(device, Skeleton(classes=classes))
            except WrongInputError as error:
                print(f"{name}: {error}", file=sys.stderr)
                continue
            for accuracies in known:
                row = best(found, name, accuracies)
                if row is None:
                    print(f"{name}: no cell of this skeleton fits", file=sys.stderr)
                else:
                    rows.append(row)
    if not options.quick:
        pd.DataFrame([asdict(r) for r in rows]).to_csv(
            Path(__file__).with_suffix(".csv"), index=False
        )
    if options.json:
        print(json.dumps([asdict(r) for r in rows]))
        return 0
    for r in rows:
        print(
            f"{r.dataset:10}{r.board:24}{r.accuracy_percent:6.2f} % ({r.kind}; AutoMCU "
            f"{r.automcu_percent:.2f} %)  {r.flash_bytes / 1024:.0f} KB flash, "
            f"{r.ram_bytes / 1024:.0f} KB RAM, {r.latency_ms:.0f} ms modelled; "
            f"{r.feasible:,} cells fit, judged in {r.survey_seconds:.1f} s; {r.cell}"
        )
    for source in sorted({r.accuracy_source for r in rows}):
        print(f"accuracies: {source}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AutomcuError as problem:
        print(problem, file=sys.stderr)
        sys.exit(problem.exit_code)

"""How well ratings of untrained networks rank cells: against NAS-Bench-201's accuracies.

    python -m benchmarks.zero_cost [--cells N] [--seed N] [--json]

Draws connected cells at random and rates each in a tiny skeleton (8 stem channels, one cell a
stage, 16x16 inputs). Beside the ratings of untrained networks stand two that need no network:
multiply-accumulates, and flow and work, the planner's prior where it has no accuracy table. Shown
is the rank correlation with the test accuracy after 200 epochs of training in the benchmark's own
skeleton, on its three data sets, and what a planner needs: `first_ten`, how far the best of the
ten networks that a rating puts first is below the best of all, in points of test accuracy.

The accuracies are those of `$AUTOMCU_DATA/nb201_core.csv.gz` or `../shared/data`. The minibatch are
32 CIFAR-10 images from `cifar10_train_jpegpack.npz` beside it, seeded noise where that is missing;
the same ratings stand against all three data sets. Of cells that differ in dead edges
alone, which are one network, one is rated. `benchmarks/zero_cost.csv` holds the rows of all
15,284 connected cells (--cells 15284, a few minutes); fewer than 1,000 cells write none.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from automcu.datasets.load import load_dataset
from automcu.datasets.record import resized
from automcu.errors import AutomcuError, WrongInputError
from automcu.networks.cells.cell import Cell, all_cells
from automcu.networks.cells.prior import expected_synflow, zero_cost_rating
from automcu.networks.cells.skeleton import Architecture, Skeleton, count_live_macs
from benchmarks.accuracies import benchmark_table
from benchmarks.zero_cost_proxies import ZeroCostScore, mean_ranks, zero_cost_scores

CELLS = 1000
SKELETON = Skeleton(stem_channels=8, cells_per_stage=1, resolution=16)
_BATCH = 32
_SEED = 2026
_IMAGES = "cifar10_train_jpegpack.npz"
_DATASETS = {
    "CIFAR-10": "c10_test200",
    "CIFAR-100": "c100_test200",
    "ImageNet16-120": "in16_test200",
}

Column = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """How one rating orders the cells of one data set; `first_ten` in points below the best."""

    rating: str
    dataset: str
    spearman: float
    kendall: float
    first_ten: float
    cells: int
    seconds_per_cell: float
    inputs: str


def draw(count: int, seed: int) -> list[int]:
    """Indices of connected cells, drawn without replacement."""
    connected = [index for index, cell in enumerate(all_cells()) if cell.is_connected]
    if not 2 <= count <= len(connected):
        raise WrongInputError(
            f"{count} cells cannot be drawn. Ask for 2 to {len(connected)} with --cells."
        )
    chosen = np.random.default_rng(seed).choice(connected, count, replace=False)
    return sorted(int(index) for index in chosen)


def minibatch(folder: Path, seed: int) -> tuple[NDArray[np.float32], str]:
    """Inputs [n, height, width, channels] in [0, 1], and what they are."""
    side = SKELETON.resolution
    if (folder / _IMAGES).is_file():
        images = resized(load_dataset(str(folder / _IMAGES), seed), side).train.inputs[:_BATCH]
        return images, f"{_BATCH} CIFAR-10 images"
    noise = np.random.default_rng(seed).random((_BATCH, side, side, 3), dtype=np.float32)
    return noise, f"{_BATCH} inputs of noise"


def ratings(
    cells: list[int], batch: NDArray[np.float32], seed: int
) -> tuple[dict[str, Column], float]:
    """Every rating of every cell, and the seconds that a cell took."""
    designs = [Architecture(cell=str(all_cells()[index]), skeleton=SKELETON) for index in cells]
    rated: dict[Cell, ZeroCostScore] = {}
    start = time.perf_counter()
    for at, (design, network) in enumerate(zip(designs, map(_network, cells), strict=True), 1):
        if network not in rated:
            (rated[network],) = zero_cost_scores([design], batch, seed)
        print(f"\r{at}/{len(designs)}", end="", file=sys.stderr, flush=True)
    seconds = (time.perf_counter() - start) / len(rated)
    print(file=sys.stderr)
    scores = [rated[_network(index)] for index in cells]
    columns = {
        name: np.array([getattr(score, name) for score in scores])
        for name in ("naswot", "synflow", "expressivity")
    }
    return {
        "multiply-accumulates": np.array([float(count_live_macs(one)) for one in designs]),
        **columns,
        "naswot and synflow": mean_ranks([_without_expressivity(score) for score in scores]),
        "all three": mean_ranks(scores),
        "flow and work, as the planner does": zero_cost_rating(expected_synflow(Skeleton()), cells)[
            cells
        ],
    }, seconds


def _network(index: int) -> Cell:
    return all_cells()[index].without_dead_edges()


def _without_expressivity(score: ZeroCostScore) -> ZeroCostScore:
    """The score with a third rating that is the same for all, and so changes no order."""
    return ZeroCostScore(score.naswot, score.synflow, expressivity=0.0)


def correlations(
    columns: Mapping[str, Column], table: pd.DataFrame, seconds: float, inputs: str
) -> list[Row]:
    """Compare each rating with each data set's accuracies; `table` has a row for each cell."""
    rated = pd.DataFrame(dict(columns), index=table.index)
    return [
        Row(
            rating=name,
            dataset=dataset,
            spearman=round(float(rated[name].corr(table[column], method="spearman")), 3),
            kendall=round(float(rated[name].corr(table[column], method="kendall")), 3),
            first_ten=round(_first_ten(rated[name], table[column]), 2),
            cells=len(table),
            seconds_per_cell=round(seconds, 4),
            inputs=inputs,
        )
        for name in rated
        for dataset, column in _DATASETS.items()
    ]


def _first_ten(rating: "pd.Series[float]", accuracies: "pd.Series[float]") -> float:
    """How far the best of the ten networks rated highest is below the best, in points."""
    networks: dict[Cell, int] = {}
    for index in rating.sort_values(ascending=False, kind="stable").index:
        networks.setdefault(_network(index), index)
        if len(networks) == 10:
            break
    return float(accuracies.max() - accuracies[list(networks.values())].max())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=CELLS, help=f"how many ({CELLS})")
    parser.add_argument("--seed", type=int, default=_SEED)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)  # small networks on several threads mostly wait
    path = benchmark_table()
    if path is None:
        raise WrongInputError(
            "nb201_core.csv.gz is missing. Point AUTOMCU_DATA at the folder that holds it."
        )
    cells = draw(options.cells, options.seed)
    accuracies = pd.read_csv(path, usecols=["idx", *_DATASETS.values()]).set_index("idx").loc[cells]
    batch, inputs = minibatch(path.parent, options.seed)
    columns, seconds = ratings(cells, batch, options.seed)
    rows = correlations(columns, accuracies, seconds, inputs)
    if options.cells >= CELLS:
        found = pd.DataFrame([asdict(row) for row in rows])
        found.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    if options.json:
        print(json.dumps([asdict(row) for row in rows]))
    else:
        show(rows)
    return 0


def show(rows: list[Row]) -> None:
    """Print one line for each rating: both correlations and `first_ten` for each data set."""
    first = rows[0]
    print(f"{first.cells} cells, {first.inputs}, {first.seconds_per_cell} s a cell for all ratings")
    print(
        f"{'(Spearman / Kendall / first ten)':36}"
        + "".join(f"{dataset:>24}" for dataset in _DATASETS)
    )
    for name in dict.fromkeys(row.rating for row in rows):
        figures = (
            f"{r.spearman:.3f} / {r.kendall:.3f} / {r.first_ten:.2f}"
            for r in rows
            if r.rating == name
        )
        print(f"{name:36}" + "".join(f"{pair:>24}" for pair in figures))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AutomcuError as problem:
        print(problem, file=sys.stderr)
        sys.exit(problem.exit_code)

"""How much each cell promises before anything is trained: the one prior of all who choose.

A cell whose accuracy a table knows has the score of that accuracy. Any other is rated by two
things that need neither data nor a network: synaptic flow, which likes deep paths, and the cell's
work, which likes large convolutions. Only their orders count; the mean of the logarithms of a
cell's two ranks rates high what is near the top in both, as AZ-NAS does (Lee and Ham, CVPR 2024).
Among cells that are held small by a board, either rating alone misleads: synaptic flow puts six 1x1
convolutions above one 3x3 convolution that costs more and learns more.

Synaptic flow is usually measured on one network with drawn weights; here it is what it is on
average over initialisations, of every cell at once. In a network's linearisation of magnitudes an
edge multiplies the signal by a number that only its operation and width decide: torch draws a
convolution's weights evenly from ±1/√fan-in, so their mean magnitude is half of that, and fan-in of
them add up. The product of these numbers, summed over a cell's paths, is its signal; how many
convolutions lie on a path, weighed by the signal on it, is its flow. That needs no network, no data
and no seed, and takes a fraction of a second for all 15,625 cells (Tanaka et al., "Pruning neural
networks without any data by iteratively conserving synaptic flow", NeurIPS 2020, section 4: each
layer passes on the whole flow). Borders, where a 3x3 window has less to add up, are left out.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from automcu.networks.cells.cell import (
    CELL_COUNT,
    EDGES,
    INPUT_NODE,
    OPERATIONS,
    OUTPUT_NODE,
    Operation,
    all_cells,
)
from automcu.networks.cells.skeleton import Architecture, FeasibleCell, Skeleton, Survey
from automcu.networks.estimate import gain_over_median, score
from automcu.networks.family import Proposal, propose

Codes = NDArray[np.int64]
Column = NDArray[np.float64]

EDGE_COUNT = 6
_PATHS = ((3,), (0, 4), (1, 5), (0, 2, 5))
"""The four paths through a cell, as positions in `EDGES`."""

_NONE, _SKIP = OPERATIONS.index("none"), OPERATIONS.index("skip_connect")
_WINDOW = {"nor_conv_1x1": 1, "nor_conv_3x3": 9}
_CONVOLUTIONS = (OPERATIONS.index("nor_conv_1x1"), OPERATIONS.index("nor_conv_3x3"))


@dataclass(frozen=True, eq=False)
class CellPool:
    """Cells that may be trained, ascending, and what each promises untrained.

    `promise` is standardised, higher is better: zero throughout where nothing is known.
    """

    indices: NDArray[np.int64]
    promise: Column

    @classmethod
    def rated(cls, indices: Sequence[int], rating: Column | None) -> "CellPool":
        """Make a pool of these cells; `rating` has one entry for each cell of the space.

        Only the rating's order counts.
        """
        sorted_indices = np.array(sorted(indices), dtype=np.int64)
        if rating is None or len(sorted_indices) < 2:
            return cls(sorted_indices, np.zeros(len(sorted_indices)))
        values = rating[sorted_indices]
        spread = spread_ranks(values)
        return cls(sorted_indices, (spread - spread.mean()) / max(float(spread.std()), 1e-9))

    def __len__(self) -> int:
        return len(self.indices)

    @cached_property
    def position(self) -> dict[int, int]:
        """Where each cell stands in the arrays."""
        return {int(index): at for at, index in enumerate(self.indices)}

    @cached_property
    def networks(self) -> Codes:
        """Operation codes [n, 6] without dead edges: equal rows are the same network."""
        return _live_codes()[self.indices]

    @cached_property
    def operations(self) -> Column:
        """One-hot rows [n, 30] of `networks`: products count the operations that cells share."""
        return np.eye(len(OPERATIONS))[self.networks].reshape(len(self), -1)

    @cached_property
    def names(self) -> NDArray[np.int64]:
        """One number [n] for each row of `networks`: equal where the network is the same."""
        return self.networks @ _PLACE_VALUES

    @cached_property
    def features(self) -> Column:
        """Numbers [n, 9] about as large as one: promise, depths, paths and operation counts."""
        live = self.networks
        convolution = np.isin(live, _CONVOLUTIONS)
        alive = np.stack([np.all(live[:, path] != _NONE, axis=1) for path in _PATHS], axis=1)
        depth = np.stack([convolution[:, path].sum(axis=1) for path in _PATHS], axis=1)
        residual = np.stack([np.all(live[:, path] == _SKIP, axis=1) for path in _PATHS], axis=1)
        counts = [(live == code).sum(axis=1) / 6 for code in range(len(OPERATIONS)) if code]
        return np.stack(
            [
                self._promised_share(),
                np.where(alive, depth, 0).max(axis=1) / 3,
                np.where(alive, depth, 3).min(axis=1) / 3,
                residual.any(axis=1).astype(np.float64),
                alive.sum(axis=1) / 4,
                *counts,
            ],
            axis=1,
        )

    def _promised_share(self) -> Column:
        """The share of the pool that promises less; the same for all where nothing is known."""
        return 1.0 - _better(self.promise) / max(len(self), 1)

    def neighbours(self, index: int) -> list[int]:
        """Return the pool's cells that differ from this one in one operation."""
        if index not in self._neighbours:
            near = _one_edit_away(index).tolist()
            self._neighbours[index] = sorted(other for other in near if other in self.position)
        return self._neighbours[index]

    @cached_property
    def _neighbours(self) -> dict[int, list[int]]:
        return {}


def spread_ranks(values: Column) -> Column:
    """Return minus the logarithm of the share of values at least as good, about 0 to 6.9.

    It spreads the best few per cent, among which searches choose, and leaves the rest close
    together.
    """
    return np.asarray(-np.log((_better(values) + 1.0) / len(values) + 1e-3))


def _better(values: Column) -> Column:
    """Return how many values are higher than each."""
    ascending = np.sort(values)
    return np.asarray(
        len(values) - np.searchsorted(ascending, values, side="right"), dtype=np.float64
    )


def cell_work() -> Column:
    """Return each cell's multiplications [15625], in 1x1 convolutions; dead edges have none.

    In a skeleton of any size a cell's multiply-accumulates grow with it alone.
    """
    windows = np.array([_WINDOW.get(operation, 0) for operation in OPERATIONS], dtype=np.float64)
    return np.asarray(windows[_live_codes()].sum(axis=1))


@lru_cache(maxsize=1)
def _live_codes() -> Codes:
    return _codes([cell.without_dead_edges().edges for cell in all_cells()])


@lru_cache(maxsize=1)
def _written_codes() -> Codes:
    return _codes([cell.edges for cell in all_cells()])


@lru_cache(maxsize=1)
def _index_of_code() -> NDArray[np.int64]:
    lexicographic = _written_codes() @ _PLACE_VALUES
    indices = np.empty(len(lexicographic), dtype=np.int64)
    indices[lexicographic] = np.arange(len(lexicographic))
    return indices


_PLACE_VALUES = len(OPERATIONS) ** np.arange(5, -1, -1)


def _codes(rows: Sequence[Sequence[str]]) -> Codes:
    return np.array([[OPERATIONS.index(name) for name in row] for row in rows])


def _one_edit_away(index: int) -> NDArray[np.int64]:
    codes = _written_codes()[index]
    changed = codes + np.zeros((len(codes), len(OPERATIONS), 1), dtype=np.int64)
    for edge in range(len(codes)):
        changed[edge, :, edge] = np.arange(len(OPERATIONS))
    rows = changed.reshape(-1, len(codes))
    return np.asarray(_index_of_code()[rows[(rows != codes).any(axis=1)] @ _PLACE_VALUES])


# Taps of a convolution's window; a fan-in of f gives a gain of f · 1/(2√f) = √f / 2.
_TAPS: dict[Operation, int] = {"nor_conv_1x1": 1, "nor_conv_3x3": 9}
_PASSED_ON: tuple[Operation, ...] = ("skip_connect", "avg_pool_3x3")
# Stem, two reduction blocks of two convolutions in a row, and the classifier: the same for all.
_LAYERS_AROUND_THE_CELLS = 6


def expected_synflow(skeleton: Skeleton) -> NDArray[np.float64]:
    """Return log synaptic flow, up to a constant: float64 [15625] in the benchmark's order.

    Higher is better; −inf where the output does not depend on the input. Only cells of the same
    skeleton can be compared.
    """
    operations = _live_operations()
    signal = np.zeros(len(operations))
    layers = np.full(len(operations), float(_LAYERS_AROUND_THE_CELLS))
    for widening in (1, 2, 4):
        cell_signal, cell_layers = _through_cell(operations, skeleton.stem_channels * widening)
        signal += skeleton.cells_per_stage * cell_signal
        layers += skeleton.cells_per_stage * cell_layers
    return np.asarray(signal + np.log(layers), dtype=np.float64)


def _through_cell(
    operations: NDArray[np.int64], channels: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the log gain of every cell and the mean number of convolutions on its paths."""
    gains = np.array([_gain(operation, channels) for operation in OPERATIONS])
    convolutions = np.array([float(operation in _TAPS) for operation in OPERATIONS])
    signal = np.zeros((len(operations), OUTPUT_NODE + 1))
    weighed = np.zeros_like(signal)
    signal[:, INPUT_NODE] = 1.0
    for edge, (source, target) in enumerate(EDGES):
        codes = operations[:, edge]
        passed = gains[codes] * signal[:, source]
        signal[:, target] += passed
        weighed[:, target] += gains[codes] * weighed[:, source] + convolutions[codes] * passed
    out = signal[:, OUTPUT_NODE]
    connected = out > 0
    log_gain = np.log(out, out=np.full_like(out, -math.inf), where=connected)
    mean = np.divide(weighed[:, OUTPUT_NODE], out, out=np.zeros_like(out), where=connected)
    return log_gain, mean


def _gain(operation: Operation, channels: int) -> float:
    if operation in _TAPS:
        return math.sqrt(_TAPS[operation] * channels) / 2
    return 1.0 if operation in _PASSED_ON else 0.0


@lru_cache(maxsize=1)
def _live_operations() -> NDArray[np.int64]:
    """Operation codes [15625, 6], edges on no path from input to output as `none`."""
    return np.array(
        [
            [OPERATIONS.index(operation) for operation in cell.without_dead_edges().edges]
            for cell in all_cells()
        ]
    )


ZERO_COST = "expected synaptic flow and work (no accuracy table)"

# Without limits the flow is the better guide; it counts twice.
_SHARE_OF_FLOW = 2 / 3
# What a cell's place counts beside its capacity, and beside likeness, of which plans want little.
# Chosen among 0.1 to 0.4 on CIFAR-10 of NAS-Bench-201, at 3 to 20 networks.
_LOG_ERROR_PER_SPREAD = 0.3
# Where no known cell is above the median, unknown ones are still told apart by this much.
_LEAST_GAIN = 0.05


@dataclass(frozen=True, eq=False)
class RankedCells:
    """The cells of a survey by index, and what each promises untrained; higher is better."""

    skeleton: Skeleton
    cells: Mapping[int, FeasibleCell]
    scores: Mapping[int, float]
    latency_limit_ms: float | None

    @cached_property
    def by_score(self) -> tuple[FeasibleCell, ...]:
        """The cells, the most promising first."""
        return tuple(
            sorted(self.cells.values(), key=lambda cell: (-self.scores[cell.index], cell.index))
        )

    def proposal(self, index: int, rank: int, score: float | None = None) -> Proposal:
        """Return a cell as the proposal with this number; `score` replaces the cell's own."""
        cell = self.cells[index]
        architecture = Architecture(cell=cell.architecture, skeleton=self.skeleton)
        wanted = self.scores[index] if score is None else score
        return propose(rank, architecture, cell, wanted, prior=cell.prior, cell_index=index)

    @cached_property
    def pool(self) -> CellPool:
        """The same cells in the arrays that searching needs."""
        rating = np.full(CELL_COUNT, -np.inf)
        rating[list(self.scores)] = list(self.scores.values())
        return CellPool.rated(list(self.cells), rating)


def rank_cells(
    survey: Survey, latency_limit_ms: float | None, best_known: float | None = None
) -> RankedCells:
    """Rank the cells that fit, by known accuracies where `survey` has them.

    A cell without one counts as the median of the space, and as more or less by where it stands
    among all that fit in `zero_cost_rating`. A rating is no result: beside cells that are known, it
    brings a cell at most half the way from the median to the best of them: `best_known` percent,
    which a table may hold for a cell that does not fit here, or the best of the survey.
    """
    cells = survey.feasible_cells
    scores = np.array([score(cell, latency_limit_ms, cell.prior) for cell in cells])
    unknown = np.array([cell.prior is None for cell in cells], dtype=bool)
    if unknown.any():
        indices = [cell.index for cell in cells]
        rating = zero_cost_rating(expected_synflow(survey.skeleton), indices)[indices]
        gain = _LOG_ERROR_PER_SPREAD * (spread_ranks(rating) + np.log(0.5))
        known = [cell.prior for cell in cells if cell.prior is not None]
        best = max(known, default=best_known)
        if best is not None:
            most = max(gain_over_median(best) / 2, _LEAST_GAIN)
            gain = np.where(gain > 0, gain * min(1.0, most / gain.max()), gain)
        scores[unknown] += gain[unknown]
    return RankedCells(
        skeleton=survey.skeleton,
        cells={cell.index: cell for cell in cells},
        scores={cell.index: float(value) for cell, value in zip(cells, scores, strict=True)},
        latency_limit_ms=latency_limit_ms,
    )


def zero_cost_rating(synflow: Column, feasible: Sequence[int]) -> Column:
    """Return a rating of the cells [15625] by flow and work, higher is better.

    The cell that works most of all that fit comes second, whatever its flow: a search that begins
    with the first few then sees early what size alone is worth.

    Args:
        synflow: the expected synaptic flow of every cell [15625].
        feasible: the cells that fit; ranks are ranks among them. The others get −inf.
    """
    cells = np.array(sorted(feasible), dtype=np.int64)
    rating = np.full(len(synflow), -np.inf)
    if not len(cells):
        return rating
    by_flow = _ranks(synflow[cells])
    # Of equal work, the higher flow: a tie-break far below one multiply-accumulate.
    by_work = _ranks(cell_work()[cells] - by_flow / (len(cells) + 1.0))
    combined = -_SHARE_OF_FLOW * np.log1p(by_flow) - (1.0 - _SHARE_OF_FLOW) * np.log1p(by_work)
    best = np.sort(combined)[::-1]
    heaviest = int(np.argmin(by_work))
    if len(cells) > 1 and combined[heaviest] < best[1]:
        combined[heaviest] = (best[0] + best[1]) / 2
    rating[cells] = combined
    return rating


def _ranks(values: Column) -> NDArray[np.float64]:
    """Return how many values are higher than each, from 0; equal values share their rank."""
    descending = np.sort(-values)
    return np.asarray(np.searchsorted(descending, -values, side="left"), dtype=np.float64)

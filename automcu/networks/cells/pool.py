"""The feasible cells of one skeleton, in the arrays that searching needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from automcu.networks.cells.cell import OPERATIONS, all_cells

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

"""How much each cell promises before anything is trained, from its wiring alone.

Two ratings that need neither data nor a network are combined: synaptic flow, which likes deep
paths, and the cell's work, which likes large convolutions. Only their orders count; the mean of the
logarithms of a cell's two ranks rates high what is near the top in both, as AZ-NAS does (Lee and
Ham, CVPR 2024). Among cells that are held small by a board, either rating alone misleads: synaptic
flow puts six 1x1 convolutions above one 3x3 convolution that costs more and learns more.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from automcu.planner.cell_pool import Column, cell_work

# Without limits the flow is the better guide; it counts twice.
_SHARE_OF_FLOW = 2 / 3


def zero_cost_rating(synflow: Column, feasible: Sequence[int]) -> Column:
    """Return a rating of the cells [15625], higher is better, for `CellPool.rated`.

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

"""Synaptic flow of every cell of the space at once, as it is on average over initialisations.

Synaptic flow is usually measured on one network with drawn weights. In its linearised network of
magnitudes, though, an edge multiplies the signal by a number that only its operation and width
decide: torch draws a convolution's weights evenly from ±1/√fan-in, so their mean magnitude is half
of that, and fan-in of them add up. The product of these numbers, summed over a cell's paths, is its
signal; how many convolutions lie on a path, weighed by the signal on it, is its flow. That needs
no network, no data and no seed, and takes a fraction of a second for all 15,625 cells (Tanaka et
al., "Pruning neural networks without any data by iteratively conserving synaptic flow", NeurIPS
2020, section 4: each layer passes on the whole flow). Borders, where a 3x3 window has less to
add up, are left out.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from automcu.networks.cells.architecture import Skeleton
from automcu.networks.cells.cell import (
    EDGES,
    INPUT_NODE,
    OPERATIONS,
    OUTPUT_NODE,
    Operation,
    all_cells,
)

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

"""The latency model: the cycles of a layer are linear in its kernel's work.

The units of work (multiply-accumulates, outputs, gathered bytes, ...) come with each kernel;
the cycles per unit are fitted, per device and compiler, to layers run on a virtual or real board,
and stored in the device's profile.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.compile import layer_cycles, work_of
from automcu.compiler.kernel import Kernel
from automcu.errors import NoFiguresError
from automcu.mcu.profile import Device, Latency

_ROUNDS, _MOST_STEPS, _PATIENCE = 10, 2_000, 3
_RIDGE = 1e-3  # columns have length 1: where rows tell them apart it changes nothing
_ROUNDING = 1e-10
_CLOSE = 0.03  # errors below this are all as good
_LEAST_TOTAL = 1e-3


@dataclass(frozen=True)
class Observation:
    """Cycles that one layer with this kernel took on a board.

    `callers` are the layers that share its function.
    """

    kernel: Kernel
    cycles: int
    callers: int = 1


@dataclass(frozen=True)
class Fit:
    """Coefficients, and how far the modelled layers are from the observed ones, in percent."""

    coefficients: dict[str, float]
    residual_percent: float


def latency_of(device: Device, compiler: str) -> Latency:
    """The device's figures for code of `compiler` ("gcc" or "zig").

    Raises:
        NoFiguresError: the profile has none.
    """
    for latency in device.latency:
        if latency.compiler == compiler:
            return latency
    raise NoFiguresError(
        f"The profile of {device.id} has no latency figures for code of {compiler}. "
        f"Fit some with `automcu calibrate --device {device.id}`, or choose a device that "
        "`automcu devices` lists with them."
    )


def fit(observations: Sequence[Observation]) -> Fit:
    """Fit non-negative coefficients to the smallest relative error.

    Categories of kernels have units of their own, and those of the code that they share.
    """
    work = [work_of(observation.kernel, observation.callers) for observation in observations]
    names = sorted({name for units in work for name in units})
    if not names:
        return Fit({}, 0.0)
    amounts = np.array([[units.get(name, 0) for name in names] for units in work], np.float64)
    cycles = np.array([observation.cycles for observation in observations], np.float64)
    solution = robust_fit(amounts / cycles[:, None])
    errors = np.abs(amounts @ solution / cycles - 1)
    return Fit(dict(zip(names, solution.tolist(), strict=True)), 100 * float(errors.max()))


def robust_fit(parts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Non-negative weights [columns] for which `parts` [rows, columns] add up to about 1 a row.

    Twice as much is as far off as half, and a few rows that no weights fit count little: the
    weights are found again and again, rows weighted by how far off they were. Columns that the
    rows hardly tell apart share what they have in common.
    """
    lengths = np.linalg.norm(parts, axis=0)
    scaled = parts / np.where(lengths > 0, lengths, 1)
    importance = np.ones(len(parts))
    found = np.zeros(parts.shape[1])
    for _ in range(_ROUNDS):
        weighted = scaled * importance[:, None]
        found = _least_squares(weighted, importance, found > 0)
        totals = np.maximum(scaled @ found, _LEAST_TOTAL)
        off = np.maximum(np.abs(np.log(totals)), _CLOSE)
        importance = 1 / np.sqrt(totals * off)
        importance /= importance.mean()
    return np.asarray(found / np.where(lengths > 0, lengths, 1))


def _least_squares(
    parts: NDArray[np.float64], totals: NDArray[np.float64], positive: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Non-negative x with the smallest |parts x - totals|^2 + _RIDGE |x|^2.

    Block principal pivoting (Kim and Park, SIAM J. Sci. Comput. 33, 2011): columns change sides
    until those taken as `positive` come out so and the others would not help. All that are on the
    wrong side change at once, and one by one where that goes round in circles.
    """
    gram = parts.T @ parts + _RIDGE * np.eye(parts.shape[1])
    target = parts.T @ totals
    positive = positive.copy()
    fewest, patience = len(target) + 1, _PATIENCE
    found = np.zeros(len(target))
    for _ in range(_MOST_STEPS):
        chosen = np.flatnonzero(positive)
        found = np.zeros(len(target))
        found[chosen] = np.linalg.solve(gram[np.ix_(chosen, chosen)], target[chosen])
        gradient = gram @ found - target
        wrong = np.flatnonzero(np.where(positive, found < -_ROUNDING, gradient < -_ROUNDING))
        if not len(wrong):
            break
        if len(wrong) < fewest:
            fewest, patience = len(wrong), _PATIENCE
        else:
            patience -= 1
        changing = wrong if patience >= 0 else wrong[-1:]
        positive[changing] = ~positive[changing]
    return np.maximum(found, 0.0)


__all__ = ["Fit", "Observation", "fit", "latency_of", "layer_cycles", "robust_fit", "work_of"]

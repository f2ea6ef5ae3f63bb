"""Windows of one or more signals in a CSV file: one window a row, its label in a column.

The label column is the one called `label`, else the last. With several channels the samples are
interleaved (t0 of each channel, t1 of each, ...). A window becomes an image of height 1.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from automcu.datasets.record import Dataset, Labelled, Request, Source, assemble
from automcu.errors import WrongInputError

if TYPE_CHECKING:
    import pandas as pd

LABEL = "label"


def _recognises(request: Request) -> bool:
    return request.path.suffix.lower() == ".csv" and request.path.is_file()


def _load(request: Request) -> Dataset:
    path = request.path
    table = _read_table(path)
    label = next((column for column in table if str(column).lower() == LABEL), table.columns[-1])
    samples = _samples(table.drop(columns=label), path)
    if samples.shape[1] % request.window_channels:
        raise WrongInputError(
            f"{path}: {samples.shape[1]} sample columns cannot be divided among "
            f"{request.window_channels} channels. Give the number of channels that were recorded."
        )
    windows = samples.reshape(len(samples), 1, -1, request.window_channels)
    lowest, highest = windows.min(axis=(0, 1, 2)), windows.max(axis=(0, 1, 2))
    scaled = (windows - lowest) / np.where(highest > lowest, highest - lowest, 1)
    if table[label].isna().any():
        raise WrongInputError(f"{path}: some windows have no label. Label or remove them.")
    labels = table[label].astype(str).to_numpy(dtype=np.str_)
    notes = tuple(
        f"{path}: channel {channel} was scaled from {low:g}..{high:g} to 0..1; "
        "scale the board's inputs alike."
        for channel, (low, high) in enumerate(zip(lowest, highest, strict=True))
    )
    return assemble(str(path), Labelled(scaled, labels), seed=request.seed, notes=notes)


def _read_table(path: Path) -> "pd.DataFrame":
    # Half a second to import, which only tables need.
    import pandas as pd

    try:
        table = pd.read_csv(path, header=None if _first_row_is_data(path) else "infer")
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise WrongInputError(
            f"{path} is not a readable CSV table ({reason}). Save one window a row."
        ) from error
    if len(table) == 0 or table.shape[1] < 2:
        raise WrongInputError(
            f"{path} has no windows. Save one a row: its samples, then its label."
        )
    return table


def _first_row_is_data(path: Path) -> bool:
    """Tell samples from a header: all cells but one (the label) are numbers."""
    import pandas as pd

    cells = pd.read_csv(path, header=None, nrows=1, dtype=str).iloc[0]
    return int(pd.to_numeric(cells, errors="coerce").notna().sum()) >= len(cells) - 1


def _samples(columns: "pd.DataFrame", path: Path) -> NDArray[np.float64]:
    import pandas as pd

    numbers: NDArray[np.float64] = columns.apply(pd.to_numeric, errors="coerce").to_numpy(float)
    row, column = np.nonzero(~np.isfinite(numbers))
    if len(row):
        raise WrongInputError(
            f"{path}: window {row[0] + 1}, column {columns.columns[column[0]]} is not a number. "
            "Fill or remove that window."
        )
    return numbers


WINDOWS = Source(names=("FILE.csv",), recognises=_recognises, load=_load)

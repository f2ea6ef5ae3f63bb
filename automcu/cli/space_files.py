"""What `automcu space` writes beside its table: the cells that fit, and a picture of the front."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from automcu.errors import ToolError, WrongInputError
from automcu.networks.cells.records import FeasibleCell, Survey
from automcu.records import write_atomically

_PICTURES = {".png", ".svg", ".pdf"}
_WIDTH_INCHES, _HEIGHT_INCHES = 7.0, 4.2
_DOTS_PER_INCH = 150


def check_files(files: Mapping[str, Path], force: bool) -> None:
    """See, before anything is computed, that the files may be written.

    Args:
        files: by the flags that name them.
        force: files that are there already may be written over.

    Raises:
        WrongInputError: two are the same, one is there already, is a folder, or is no picture.
    """
    for flag, path in files.items():
        twin = next((one for one, other in files.items() if other == path and one != flag), None)
        if twin:
            raise WrongInputError(f"{flag} and {twin} both name {path}. Give each its own file.")
        if path.is_dir():
            raise WrongInputError(f"{path} is a folder. Name a file with {flag}.")
        if path.exists() and not force:
            raise WrongInputError(
                f"{path} is there already. Name another file with {flag}, or give --force to write "
                "over it."
            )
        if flag == "--plot" and path.suffix.lower() not in _PICTURES:
            raise WrongInputError(
                f"{path} is no picture's name. End it in {', '.join(sorted(_PICTURES))}."
            )


def write_csv(found: Survey, path: Path) -> None:
    """Write one line for each cell that fits, best prior first; bytes and milliseconds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FeasibleCell.model_fields)
    for cell in found.feasible_cells:
        values = [getattr(cell, name) for name in FeasibleCell.model_fields]
        writer.writerow("" if value is None else value for value in values)
    write_atomically(path, text.getvalue().encode())


def write_parquet(found: Survey, path: Path) -> None:
    """Write the same table as Parquet.

    Raises:
        ToolError: pyarrow, which pandas needs for it, is missing.
    """
    import pandas as pd

    columns = {
        name: [getattr(cell, name) for cell in found.feasible_cells]
        for name in FeasibleCell.model_fields
    }
    buffer = io.BytesIO()
    try:
        pd.DataFrame(columns).to_parquet(buffer, index=False)
    except ImportError as error:
        raise ToolError(
            "Parquet files need the package pyarrow. Install it with pip install automcu[parquet], "
            "or write --csv."
        ) from error
    write_atomically(path, buffer.getvalue())


def write_plot(found: Survey, path: Path, max_latency_ms: float | None, source: str) -> None:
    """Draw prior against modelled latency: every cell that fits, and the front.

    `source` says whose accuracies the prior is.

    Raises:
        WrongInputError: no cell fits.
    """
    from matplotlib.figure import Figure

    from automcu.networks.cells.family import skeleton_name

    figure = Figure(figsize=(_WIDTH_INCHES, _HEIGHT_INCHES), layout="constrained")
    axes = figure.subplots()
    known = [cell for cell in found.feasible_cells if cell.prior is not None]
    axes.plot(
        [cell.latency_ms for cell in known],
        [cell.prior or 0.0 for cell in known],
        ".",
        color="#ced4da",
        markersize=2,
        label=f"{found.feasible:,} cells that fit",
    )
    front = _fastest_first(found)
    axes.step(
        [cell.latency_ms for cell in front],
        [cell.prior or 0.0 for cell in front],
        "o-",
        where="post",
        color="#0b7285",
        markersize=4,
        label="front",
    )
    if max_latency_ms is not None:
        axes.axvline(max_latency_ms, color="#c92a2a", linestyle="--", linewidth=1, label="limit")
    axes.set_xlabel("modelled latency in ms")
    axes.set_ylabel(f"prior in %: the cell in the benchmark's own skeleton\n({source})")
    axes.set_title(f"{found.device}, {skeleton_name(found.skeleton)}", fontsize=10)
    axes.legend(loc="lower right", framealpha=1, edgecolor="none")
    buffer = io.BytesIO()
    figure.savefig(buffer, format=path.suffix[1:].lower(), dpi=_DOTS_PER_INCH)
    write_atomically(path, buffer.getvalue())


def _fastest_first(found: Survey) -> list[FeasibleCell]:
    """The cells that none beats in both prior and latency; flash aside."""
    front: list[FeasibleCell] = []
    for cell in sorted(found.front, key=lambda one: (one.latency_ms, -(one.prior or 0.0))):
        if cell.prior is not None and (not front or cell.prior > (front[-1].prior or 0.0)):
            front.append(cell)
    return front

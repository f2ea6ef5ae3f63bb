"""The surveys that a plan of cells rests on, as files: they hold thousands of cells."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from automcu.errors import WrongInputError
from automcu.networks.cells.architecture import Skeleton
from automcu.networks.cells.prior import RankedCells, rank_cells
from automcu.networks.cells.records import CellPlan, SkeletonSurvey, Survey
from automcu.records import write_atomically


def save_surveys(folder: Path, surveys: Iterable[Survey]) -> None:
    """Write the surveys in the plan's order."""
    for number, one in enumerate(surveys, start=1):
        # On one line each file is a third smaller.
        write_atomically(_path(folder, number), one.model_dump_json().encode())


def load_surveys(folder: Path, surveyed: Sequence[SkeletonSurvey]) -> tuple[Survey, ...]:
    """Read the surveys that a plan counts.

    Raises:
        WrongInputError: one is missing or damaged.
    """
    return tuple(Survey.load(_path(folder, number)) for number, _ in enumerate(surveyed, start=1))


def ranked_survey(
    folder: Path, plan: CellPlan, skeleton: Skeleton, latency_limit_ms: float | None
) -> RankedCells:
    """Rank the cells of the plan's survey of a skeleton.

    Raises:
        WrongInputError: its file is missing or damaged.
    """
    for number, one in enumerate(plan.surveyed, start=1):
        path = _path(folder, number)
        if one.skeleton == skeleton and path.is_file():
            try:
                return _rank_file(path, path.stat().st_mtime_ns, latency_limit_ms)
            except WrongInputError:
                break
    raise WrongInputError(
        f"{folder.parent} has lost the survey of a skeleton that its study has trained. "
        "Delete plan.json there and resume the run."
    )


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number}.json"


@lru_cache(maxsize=4)
def _rank_file(path: Path, written: int, latency_limit_ms: float | None) -> RankedCells:
    """Read and rank a survey once as long as its file stays as it is."""
    del written
    return rank_cells(Survey.load(path), latency_limit_ms)

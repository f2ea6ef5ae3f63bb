"""From the board and the limits to proposals: what fits, and which of it is worth training."""

from collections.abc import Callable
from pathlib import Path

from automcu.cost.records import Verdict
from automcu.cost.verdict import check
from automcu.datasets.record import Dataset
from automcu.errors import ToolError
from automcu.networks.cells.accuracies import (
    AccuracyTable,
    accuracy_prior,
    read_accuracy_table,
    unknown_accuracies,
)
from automcu.networks.cells.architecture import Architecture, Skeleton
from automcu.networks.cells.grid import skeleton_grid
from automcu.networks.cells.plan import SURVEYS, search
from automcu.networks.cells.records import Survey
from automcu.networks.cells.survey import survey
from automcu.networks.network import Network, estimate
from automcu.networks.records import Plan
from automcu.records import write_atomically
from automcu.run.families import Planned, plan_families
from automcu.run.job import Job
from automcu.run.progress import Progress
from automcu.run.records import Settings
from automcu.run.run_folder import RunFolder, load_if_valid


def judge(job: Job, network: Network) -> Verdict:
    """Say whether a network keeps to the board and to the brief."""
    return check(estimate(network, job.device), job.device, job.brief.limits)


def make_plan(job: Job, dataset: Dataset) -> Plan:
    """Return the run's plan, made now or before.

    Raises:
        DoesNotFitError: no network fits; says by how much the smallest misses.
    """
    folder = job.folder
    found = load_if_valid(Plan, folder.plan)
    if found:
        folder.log("plan reused")
        return found
    with folder.timed("feasible space and plan"):
        plan, surveys = plan_families(job, dataset, lambda: _plan_cells(job, dataset))
    for number, one in enumerate(surveys.values(), start=1):
        # Thousands of cells: on one line each file is a third smaller.
        write_atomically(folder.survey(number), one.model_dump_json().encode())
    plan.save(folder.plan)
    folder.log("planned", space=plan.space, feasible=plan.feasible, seconds=plan.seconds)
    return plan


def _plan_cells(job: Job, dataset: Dataset) -> Planned:
    settings = job.settings
    table = _known_accuracies(settings, job.folder)
    ternary = {"ternary": settings.weights == "ternary"}
    grid = skeleton_grid(dataset.input_shape, len(dataset.class_names))
    return search(
        [skeleton.model_copy(update=ternary) for skeleton in grid],
        table,
        probe=lambda cell, skeleton: judge(job, Architecture(cell=str(cell), skeleton=skeleton)),
        survey=_told(lambda skeleton: _survey(job, skeleton, table), job.progress),
        latency_limit_ms=job.milliseconds_allowed,
        budget=settings.budget,
        seed=settings.seed,
    )


def _survey(job: Job, skeleton: Skeleton, prior: AccuracyTable) -> Survey:
    return survey(job.device, skeleton, job.brief.limits, prior=prior)


def _told(
    one_survey: Callable[[Skeleton], Survey], progress: Progress
) -> Callable[[Skeleton], Survey]:
    """Return the same function, which also tells of each survey that is done."""
    done = 0

    def survey_and_tell(skeleton: Skeleton) -> Survey:
        nonlocal done
        found = one_survey(skeleton)
        done += 1
        progress.update(done / SURVEYS, f"{found.feasible:,} of {found.cells:,} cells fit")
        return found

    return survey_and_tell


def _known_accuracies(settings: Settings, folder: RunFolder) -> AccuracyTable:
    """Return the accuracy table; an empty one where the embedded one cannot be had.

    Raises:
        WrongInputError: the settings name a table that cannot be read.
    """
    if settings.accuracy_table is not None:
        return read_accuracy_table(Path(settings.accuracy_table), settings.accuracy_dataset)
    try:
        return accuracy_prior()
    except ToolError as error:
        folder.log("prior missing", reason=str(error))
        return unknown_accuracies()

"""From the board and the limits to proposals: what fits, and which of it is worth training."""

from pathlib import Path

from automcu.datasets.record import Dataset
from automcu.errors import DoesNotFitError
from automcu.networks.family import Task, families_named
from automcu.planner.plan import Plan
from automcu.run.job import Job
from automcu.run.run_folder import load_if_valid


def task_of(job: Job, dataset: Dataset) -> Task:
    """Return what the run wants of each family."""
    settings = job.settings
    return Task(
        device=job.device,
        limits=job.brief.limits,
        input_shape=dataset.input_shape,
        classes=len(dataset.class_names),
        budget=settings.budget,
        seed=settings.seed,
        folder=job.folder.surveys,
        ternary=settings.weights == "ternary",
        accuracy_table=Path(settings.accuracy_table) if settings.accuracy_table else None,
        accuracy_dataset=settings.accuracy_dataset,
        progress=job.progress.update,
        log=job.folder.log,
    )


def make_plan(job: Job, task: Task) -> Plan:
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
        plan = _plan_families(job, task)
    plan.save(folder.plan)
    folder.log("planned", space=plan.space, feasible=plan.feasible, seconds=plan.seconds)
    return plan


def _plan_families(job: Job, task: Task) -> Plan:
    """Plan the families that the brief names; of several, one that does not fit is left out."""
    wanted = families_named(job.brief.family)
    plans = {name: family.survey(task) for name, family in wanted.items()}
    if not any(plan.proposals for plan in plans.values()):
        raise DoesNotFitError(next(iter(plans.values())).miss)
    return Plan.of(plans, seed=task.seed, budget=task.budget)

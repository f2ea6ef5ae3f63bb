"""The run's study: which network is next, and what came of it."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from automcu.brief import Brief
from automcu.errors import WrongInputError
from automcu.networks.cells.architecture import Skeleton
from automcu.networks.cells.next_proposal import next_proposal
from automcu.networks.cells.prior import RankedCells, rank_cells
from automcu.networks.cells.records import Survey
from automcu.networks.records import Observation, Plan, Proposal
from automcu.networks.transformers.plan import TransformerProposal
from automcu.planner.study import Study
from automcu.run.families import AnyProposal
from automcu.run.job import Job
from automcu.run.run_folder import load_if_valid

if TYPE_CHECKING:
    from automcu.planner.agents import Council


def open_study(job: Job) -> Study:
    """Open the study that the run shares with others, or the one in its folder."""
    url = job.settings.study or f"sqlite:///{job.folder.study.absolute()}"
    return Study(url, study_name(job), job.folder.name_in_study())


def study_name(job: Job) -> str:
    """Name the study after what it is for: runs of the same brief, and no others, share it."""
    brief = job.brief.model_dump_json(exclude=_not_asked(job.brief))
    shared = f"{brief} {job.settings.training_seconds} {job.device.model_dump_json()}"
    if job.settings.weights != "8":
        shared += job.settings.weights
    digest = hashlib.sha256(shared.encode()).hexdigest()[:8]
    return f"{Path(job.brief.dataset).stem}-{job.device.id}-{digest}"


def _not_asked(brief: Brief) -> set[str]:
    """Return what does not change the question; what older briefs lack counts only where it is."""
    wording = {"text", "unused", "notes"}
    return wording if brief.max_energy_mj else wording | {"max_energy_mj"}


def next_in_run(
    job: Job, plan: Plan, study: Study, rank: int, council: "Council | None" = None
) -> Proposal | None:
    """Return the run's proposal of this number: the saved one, or one that is chosen now.

    The first one is the offline planner's, whoever chooses the others: a model that chooses badly
    then costs time, but the run has the network that it would have begun with anyway.
    """
    known = study.claim_of(rank)
    if known:
        return known.proposal

    def choose(seen: Sequence[Observation]) -> Proposal | None:
        if council and study.claimed():
            trained = len(study.finished())
            job.progress.begin(f"waiting for the language model's network {rank}")
            chosen, enough = council.choose(
                seen,
                rank,
                job.settings.budget - rank + 1,
                may_stop=trained >= plan.fewest_trained,
            )
            if enough:
                job.folder.log("critic says it is enough", trained=trained)
            if chosen or enough:
                return chosen
        return next_proposal(
            plan,
            lambda skeleton: _ranked(job, plan, skeleton),
            seen,
            rank=rank,
        )

    # What was claimed and not finished has its own number, by which it is found above.
    claim = study.claim(choose, besides=True)
    if claim is None:
        return None
    claim.proposal.save(job.folder.proposal(rank))
    job.folder.log("proposed", rank=rank, cell=claim.proposal.cell_index, trial=claim.trial)
    return claim.proposal


def tell(job: Job, study: Study, proposal: AnyProposal, accuracy_percent: float | None) -> None:
    """Tell the study what came of a proposal; None where it could not be trained.

    A study holds cells: what comes of transformers is in the run alone.
    """
    if isinstance(proposal, TransformerProposal):
        return
    claim = study.claim_of(proposal.rank)
    if claim is None:
        job.folder.log("claim lost", rank=proposal.rank)
    elif accuracy_percent is None:
        study.fail(claim.trial)
    else:
        study.finish(claim.trial, accuracy_percent)


def _ranked(job: Job, plan: Plan, skeleton: Skeleton) -> RankedCells:
    """Rank the cells of the plan's survey of a skeleton.

    Raises:
        WrongInputError: its file is missing or damaged.
    """
    for number, one in enumerate(plan.surveyed, start=1):
        path = job.folder.survey(number)
        if one.skeleton == skeleton and path.is_file():
            found = _rank_file(path, path.stat().st_mtime_ns, job.milliseconds_allowed)
            if found:
                return found
    raise WrongInputError(
        f"{job.folder.path} has lost the survey of a skeleton that its study has trained. "
        f"Delete {job.folder.plan.name} there and resume the run."
    )


@lru_cache(maxsize=4)
def _rank_file(path: Path, written: int, latency_limit_ms: float | None) -> RankedCells | None:
    """Read and rank a survey once as long as its file stays as it is: it has thousands of cells."""
    del written
    survey = load_if_valid(Survey, path)
    return rank_cells(survey, latency_limit_ms) if survey else None

"""The stages in their order: from a brief to a report, every record saved as it comes to be."""

from pathlib import Path

import automcu
from automcu.brief import Brief
from automcu.datasets.load import load_dataset
from automcu.datasets.record import Dataset
from automcu.planner.plan import Plan, how_much_fits
from automcu.planner.review import Counts
from automcu.report.html import write_html
from automcu.run.advising import tell_in_words
from automcu.run.candidates import best_first, train_candidates
from automcu.run.deployment import build, compile_candidate, measure
from automcu.run.findings import (
    broken_limits,
    gather_findings,
    warnings_about,
    with_proposals,
)
from automcu.run.intake import read_brief
from automcu.run.job import Job, resume_job, start_job
from automcu.run.language_models import agents_used
from automcu.run.planning import make_plan, task_of
from automcu.run.progress import Progress, Silent
from automcu.run.records import Run, Settings, TrainedCandidate


def design(
    brief: Brief | str | None,
    path: Path | str,
    settings: Settings | None = None,
    *,
    resume: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Carry out a brief, or what is left of it.

    Args:
        brief: what is wanted, as a record or in one sentence; None with `resume`, to continue what
            the folder holds.
        path: the run folder.
        settings: how to go about it; None for the defaults, or with `resume` for the folder's.
        resume: continue the run in `path`. Records that are there and valid are not made again.
        progress: notified of everything as it happens.

    Returns:
        The run. `findings.missed` says which goals it missed; everything is kept either way.

    Raises:
        DoesNotFitError: nothing fits the board and the limits.
        WrongInputError: the folder, the data or the device cannot be used.
        ToolError: a compiler is missing or failed.
        BoardError: the board is missing, silent or of the wrong kind.
    """
    progress, path = progress or Silent(), Path(path)
    if isinstance(brief, str):
        brief = read_brief(brief, path, settings=settings, say=progress.say)
    if brief is None or resume:
        job = resume_job(path, brief, settings, progress)
    else:
        job = start_job(path, brief, settings, progress)
    dataset = _read_data(job)
    progress.begin("what fits")
    task = task_of(job, dataset)
    plan = make_plan(job, task)
    progress.say(how_much_fits(plan))
    candidates = train_candidates(job, plan, task, dataset)
    run = _deploy_best(job, plan, candidates, dataset)
    tell_in_words(job, plan, run)
    used = agents_used(job.folder)
    findings = with_proposals(run.findings, run.counts, used)
    run = run.model_copy(update={"agents": used, "findings": findings})
    run.save(job.folder.run)
    write_html(run.findings, job.folder.report)
    job.folder.log("finished", missed=run.findings.missed)
    return run


def _read_data(job: Job) -> Dataset:
    job.progress.begin("reading data")
    with job.folder.timed("reading data"):
        dataset = load_dataset(job.brief.dataset, job.settings.seed)
    for note in (*dataset.notes, *warnings_about(dataset)):
        job.progress.say(note)
    return dataset


def _deploy_best(
    job: Job, plan: Plan, candidates: tuple[TrainedCandidate, ...], dataset: Dataset
) -> Run:
    """Deploy the most accurate candidate; where its firmware breaks a limit, the next one.

    Accuracy on the test split decides nothing here: choosing by it would flatter the result.
    """
    ranking = best_first(candidates)
    for candidate in ranking:
        run = _deploy(job, plan, candidates, candidate, dataset)
        broken = broken_limits(job.brief, job.device, run.build, run.measurement)
        if not broken:
            return run
        job.folder.log("limit broken", rank=candidate.proposal.rank, limits=broken)
        job.progress.say(f"Candidate {candidate.proposal.rank} cannot stay. {' '.join(broken)}")
    return run if len(ranking) == 1 else _deploy(job, plan, candidates, ranking[0], dataset)


def _with_deployed(job: Job) -> Counts:
    """The run's counts now that a network is deployed, of which a run has one; saved as well."""
    counts = Counts.load(job.folder.counts).model_copy(update={"deployed": 1})
    counts.save(job.folder.counts)
    return counts


def _deploy(
    job: Job,
    plan: Plan,
    candidates: tuple[TrainedCandidate, ...],
    candidate: TrainedCandidate,
    dataset: Dataset,
) -> Run:
    job.progress.begin("compiling")
    deployment = compile_candidate(job, candidate, dataset)
    job.progress.begin("building the firmware")
    built = build(job)
    job.progress.begin(f"running on {job.settings.board} {job.device.id}")
    measurement = measure(job, deployment)
    return Run(
        version=automcu.__version__,
        brief=job.brief,
        settings=job.settings,
        device=job.device,
        plan=plan,
        counts=_with_deployed(job),
        candidates=candidates,
        deployment=deployment,
        build=built,
        measurement=measurement,
        findings=gather_findings(
            job.brief,
            job.device,
            plan,
            candidates,
            deployment,
            built,
            measurement,
            job.folder.seconds(),
            dataset,
        ),
    )

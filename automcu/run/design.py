"""The stages in their order: from a brief to a report, every record saved as it comes to be."""

import shutil
from pathlib import Path

import numpy as np

import automcu
from automcu.boards.bench import bench_project
from automcu.boards.project import GOLDEN
from automcu.boards.records import Measurement
from automcu.boards.verification import build_verified
from automcu.brief import Brief
from automcu.compiler import Project, quantise_inputs
from automcu.compiler.compile import Program
from automcu.datasets.load import load_dataset
from automcu.datasets.record import Dataset, Split, resized
from automcu.export.quantise import onnx_accuracy
from automcu.networks.family import FLOAT_MODEL, INT8_MODEL
from automcu.planner.plan import Counts, Plan, how_much_fits
from automcu.report.html import write_html
from automcu.run.agents import agents_used, read_brief, write_summary
from automcu.run.candidates import best_first, make_plan, task_of, train_candidates
from automcu.run.job import Job, Progress, Silent, load_if_valid, resume_job, start_job
from automcu.run.records import (
    Deployment,
    Run,
    Settings,
    TrainedCandidate,
    broken_limits,
    gather_findings,
    warnings_about,
    with_proposals,
)
from automcu.toolchains.build import Build, changed_files
from automcu.user_model.inputs import sample
from automcu.user_model.model import compile_model_file, write_program

# Enough to tell 97 % from 98 %, and little enough for a slow serial line.
BOARD_INPUTS = 500


def compile_candidate(job: Job, candidate: TrainedCandidate, dataset: Dataset) -> Deployment:
    """Compile a candidate into the run's project folder, unless that holds it already."""
    folder = job.folder
    found = load_if_valid(Deployment, folder.deployment)
    if found and found.model_sha256 == candidate.model_sha256 and _is_whole(folder.project, found):
        folder.log("compiled project reused", rank=found.rank)
        return found
    folder.deployment.unlink(missing_ok=True)
    shutil.rmtree(folder.project, ignore_errors=True)
    with folder.timed("compiling"):
        deployment = _compile(job, candidate, dataset)
    deployment.save(folder.deployment)
    folder.log("compiled", rank=deployment.rank, model_hash=deployment.project.model_hash)
    return deployment


def build(job: Job) -> Build:
    """Build and verify the run's project, unless the firmware is there.

    Raises:
        FirmwareDiffersError: what was linked computes something else than the reference.
    """
    folder, project = job.folder, job.folder.project
    found = load_if_valid(Build, project / "build/build.json")
    proven = found and (found.verified or found.not_verified)
    whole = found and all((project / one).is_file() for one in (found.elf, found.image))
    if found and proven and whole and not changed_files(project, found):
        folder.log("firmware reused")
        return found
    with folder.timed("building"):
        made = build_verified(project, job.device)
    folder.log(
        "built",
        flash_bytes=made.flash_bytes,
        ram_bytes=made.ram_bytes,
        verified=made.verified.model_dump() if made.verified else made.not_verified,
    )
    return made


def measure(job: Job, deployment: Deployment) -> Measurement:
    """Run the firmware on the board, unless it was measured before."""
    folder = job.folder
    found = load_if_valid(Measurement, folder.measurement)
    if found and found.identity.model_hash == deployment.project.model_hash:
        folder.log("measurement reused")
        return found

    def notify(what: str, done: int, total: int) -> None:
        job.progress.update(done / max(total, 1), f"{what} {done:,}/{total:,}")

    with folder.timed("flashing and running on the board"):
        made = bench_project(folder.project, job.device, job.settings.board, None, progress=notify)
    made.save(folder.measurement)
    folder.log("measured", latency_ms=made.latency_ms.median, mismatches=made.mismatches)
    return made


def _is_whole(project: Path, deployment: Deployment) -> bool:
    written = load_if_valid(Project, project / "project.json")
    return written == deployment.project and (project / GOLDEN).is_file()


def _compile(job: Job, candidate: TrainedCandidate, dataset: Dataset) -> Deployment:
    verdict = candidate.review.verdict
    assert verdict is not None, "only reviewed candidates are trained"
    data = resized(dataset, *candidate.proposal.architecture.input_shape[:2])
    home = job.folder.candidate(candidate.proposal.rank)
    program = compile_model_file(home / INT8_MODEL, job.device)
    drawn = sample(len(data.test.labels), BOARD_INPUTS)
    shown = Split(data.test.inputs[drawn], data.test.labels[drawn])
    project = write_program(program, job.device, job.folder.project, data.class_names, shown)
    return Deployment(
        rank=candidate.proposal.rank,
        model_sha256=candidate.model_sha256,
        project=project,
        estimate=verdict.estimate,
        float_accuracy=onnx_accuracy(home / FLOAT_MODEL, data.test),
        onnx_accuracy=onnx_accuracy(home / INT8_MODEL, data.test),
        host_accuracy=_host_accuracy(program, project, data.test),
        host_inputs=len(data.test.labels),
    )


def _host_accuracy(program: Program, project: Project, split: Split) -> float:
    """Return the share of a split that the integer reference gets right."""
    outputs = program.run(quantise_inputs(split.inputs, project.input))
    return float(np.mean(outputs.argmax(axis=1) == split.labels))


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
        brief = read_brief(brief, path, settings=settings, notify=progress.notify)
    if brief is None or resume:
        job = resume_job(path, brief, settings, progress)
    else:
        job = start_job(path, brief, settings, progress)
    dataset = _read_data(job)
    progress.begin("what fits")
    task = task_of(job, dataset)
    plan = make_plan(job, task)
    progress.notify(how_much_fits(plan))
    candidates = train_candidates(job, plan, task, dataset)
    run = _deploy_best(job, plan, candidates, dataset)
    write_summary(job, plan, run)
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
        job.progress.notify(note)
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
        job.progress.notify(f"Candidate {candidate.proposal.rank} cannot stay. {' '.join(broken)}")
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

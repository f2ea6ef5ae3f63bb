"""From a quantised model to a firmware that has run on the board."""

import shutil
from pathlib import Path

import numpy as np

from automcu.boards.bench import bench_project
from automcu.boards.project import GOLDEN
from automcu.boards.records import Measurement
from automcu.boards.verification import build_verified
from automcu.compiler import Project, quantise_inputs
from automcu.compiler.compile import Program
from automcu.datasets.record import Dataset, Split, resized
from automcu.export.evaluation import onnx_accuracy
from automcu.networks.family import FLOAT_MODEL, INT8_MODEL
from automcu.run.job import Job
from automcu.run.records import Deployment, TrainedCandidate
from automcu.run.run_folder import load_if_valid
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

    def tell(what: str, done: int, total: int) -> None:
        job.progress.update(done / max(total, 1), f"{what} {done:,}/{total:,}")

    with folder.timed("flashing and running on the board"):
        made = bench_project(folder.project, job.device, job.settings.board, None, progress=tell)
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

"""The whole flow, on the real parts: nothing between the brief and the virtual board is faked."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from automcu.brief import Brief
from automcu.errors import DoesNotFitError, WrongInputError
from automcu.planner.plan import Counts, Plan
from automcu.run.design import design
from automcu.run.job import RunFolder, Silent
from automcu.run.records import Run, Settings


def _events(folder: Path) -> list[str]:
    return [json.loads(line)["event"] for line in (folder / "log.jsonl").read_text().splitlines()]


def test_the_answer_keeps_every_limit_and_is_good(finished: Run) -> None:
    assert finished.findings.missed == ()
    assert finished.measurement.latency_ms.median <= 20.0
    assert finished.build.ram_bytes <= 65536
    assert finished.findings.accuracy.board >= 0.97


def test_every_answer_of_the_board_equals_the_integer_reference(finished: Run) -> None:
    assert finished.measurement.mismatches == 0
    assert finished.measurement.inputs == finished.deployment.host_inputs == 359
    assert finished.measurement.accuracy == finished.deployment.host_accuracy


def test_what_was_promised_before_training_is_what_was_linked(finished: Run) -> None:
    promised, linked = finished.deployment.estimate, finished.build
    assert promised.arena_bytes == linked.arena_bytes == finished.measurement.arena_bytes
    assert promised.weight_bytes == linked.weight_bytes
    assert promised.flash_bytes == pytest.approx(linked.flash_bytes, rel=0.02)
    assert promised.latency_ms == pytest.approx(finished.measurement.latency_ms.median, rel=0.10)


def test_integers_and_onnxruntime_agree_on_accuracy(finished: Run) -> None:
    deployment = finished.deployment
    assert deployment.host_accuracy == pytest.approx(deployment.onnx_accuracy, abs=0.003)


def test_nothing_was_trained_that_does_not_fit(finished: Run) -> None:
    assert 0 < finished.plan.feasible < finished.plan.space
    for candidate in finished.candidates:
        verdict = candidate.review.verdict
        assert verdict is not None and verdict.fits
        assert candidate.proposal.latency_ms == pytest.approx(verdict.estimate.latency_ms, rel=0.01)
    assert finished.counts.attempted == finished.counts.feasible == finished.counts.trained == 2
    assert finished.counts.deployed == 1


def test_the_most_accurate_candidate_was_deployed(finished: Run) -> None:
    best = max(candidate.int8_accuracy for candidate in finished.candidates)
    assert finished.findings.chosen.int8_accuracy == best


def test_every_record_is_a_file_and_every_decision_a_line(
    finished: Run, finished_folder: Path
) -> None:
    for name in (
        "brief.json",
        "settings.json",
        "device.json",
        "plan.json",
        "surveys/1.json",
        "counts.json",
        "candidates/1/candidate.json",
        "candidates/1/proposal.json",
        "candidates/1/training.json",
        "deployment.json",
        "project/project.json",
        "project/build/build.json",
        "measurement.json",
        "run.json",
        "report.html",
        "seconds.json",
    ):
        assert (finished_folder / name).stat().st_size > 0, name
    assert _events(finished_folder) == [
        "started",
        "planned",
        "proposed",
        "candidate trained",
        "proposed",
        "candidate trained",
        "compiled",
        "built",
        "measured",
        "finished",
    ]
    assert Plan.load(finished_folder / "plan.json") == finished.plan
    assert not list(finished_folder.rglob(".*.tmp*"))


def test_the_quantised_model_runs_in_onnxruntime(finished: Run, finished_folder: Path) -> None:
    rank = finished.deployment.rank
    path = finished_folder / "candidates" / str(rank) / "int8.onnx"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {session.get_inputs()[0].name: np.zeros((1, 1, 8, 8), "f4")})
    assert logits.shape == (1, 10)


def test_resuming_a_finished_run_repeats_nothing(
    finished: Run, copy_of_run: Callable[[], Path]
) -> None:
    folder = copy_of_run()
    again = design(None, folder, resume=True)
    assert again.measurement == finished.measurement
    assert again.candidates == finished.candidates
    since = _events(folder)[10:]
    assert since == [
        "resumed",
        "plan reused",
        "candidate reused",
        "candidate reused",
        "compiled project reused",
        "firmware reused",
        "measurement reused",
        "finished",
    ]


def test_a_damaged_model_is_made_again_from_the_checkpoint_and_comes_out_the_same(
    finished: Run, copy_of_run: Callable[[], Path]
) -> None:
    folder = copy_of_run()
    model = folder / "candidates/1/int8.onnx"
    model.write_bytes(model.read_bytes()[:1000])
    again = design(None, folder, resume=True)
    assert _events(folder)[10:].count("candidate trained") == 1
    assert again.candidates[0].model_sha256 == finished.candidates[0].model_sha256
    assert again.candidates[0].training.curve == finished.candidates[0].training.curve
    assert again.deployment.project == finished.deployment.project


def test_a_lost_firmware_is_built_and_measured_again(
    finished: Run, copy_of_run: Callable[[], Path]
) -> None:
    folder = copy_of_run()
    (folder / "project/build/firmware.elf").unlink()
    (folder / "measurement.json").write_text("{")
    again = design(None, folder, resume=True)
    since = _events(folder)[10:]
    assert "built" in since and "measured" in since and "compiled" not in since
    assert again.measurement.cycles == finished.measurement.cycles


def test_a_missed_goal_is_said_and_everything_is_kept(
    brief: Brief, copy_of_run: Callable[[], Path]
) -> None:
    folder = copy_of_run()
    brief.model_copy(update={"min_accuracy": 1.0}).save(folder / "brief.json")
    run = design(None, folder, resume=True)
    if run.findings.accuracy.board == 1.0:
        assert run.findings.missed == ()
    else:
        assert "the goal is 100 %" in run.findings.missed[0]
    assert (folder / "report.html").is_file()


def test_another_brief_or_other_settings_are_refused(
    brief: Brief, copy_of_run: Callable[[], Path]
) -> None:
    folder = copy_of_run()
    other = brief.model_copy(update={"max_latency_ms": 5.0})
    with pytest.raises(WrongInputError, match="another brief"):
        design(other, folder, resume=True)
    with pytest.raises(WrongInputError, match="other settings"):
        design(None, folder, Settings(seed=99), resume=True)


def test_a_damaged_record_of_what_is_wanted_is_named(copy_of_run: Callable[[], Path]) -> None:
    folder = copy_of_run()
    (folder / "device.json").write_text('{"id": "x"}')
    with pytest.raises(WrongInputError, match=r"device\.json is not a valid Device record"):
        design(None, folder, resume=True)


def test_where_nothing_fits_the_smallest_miss_is_reported(brief: Brief, tmp_path: Path) -> None:
    tiny = brief.model_copy(update={"max_ram_bytes": 1024})
    with pytest.raises(DoesNotFitError, match=r"the smallest one misses the ram limit by [\d,]+"):
        design(tiny, tmp_path / "tiny")


def test_the_counts_are_those_of_the_run(finished: Run, finished_folder: Path) -> None:
    assert Counts.load(finished_folder / "counts.json") == finished.counts


class _StoppedAt(Silent):
    """Presses Ctrl-C when a stage begins."""

    def __init__(self, stage: str) -> None:
        self.stage = stage

    def begin(self, stage: str) -> None:
        if stage == self.stage:
            raise KeyboardInterrupt


@pytest.mark.parametrize("stage", ["what fits", "compiling"])
def test_the_counts_stay_those_of_the_run_when_it_is_resumed_and_stopped(
    finished: Run, copy_of_run: Callable[[], Path], stage: str
) -> None:
    folder = copy_of_run()
    with pytest.raises(KeyboardInterrupt):
        design(None, folder, resume=True, progress=_StoppedAt(stage))
    assert Counts.load(folder / "counts.json") == Run.load(folder / "run.json").counts


class _Interrupting(Silent):
    """Presses Ctrl-C after the second epoch of the first training."""

    def begin(self, stage: str) -> None:
        self.training = stage.startswith("training")
        self.epochs = 0

    def update(self, fraction: float, note: str = "", seconds_left: float | None = None) -> None:
        if self.training:
            self.epochs += 1
            if self.epochs == 2:
                raise KeyboardInterrupt


class _Listening(Silent):
    """Keeps the notes of the trainings."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def update(self, fraction: float, note: str = "", seconds_left: float | None = None) -> None:
        self.notes.append(note)


def test_an_interrupted_training_goes_on_after_its_last_epoch(brief: Brief, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    settings = Settings(budget=1, training_seconds=20.0)
    with pytest.raises(KeyboardInterrupt):
        design(brief, folder, settings, progress=_Interrupting())
    assert RunFolder.open(folder).plan.is_file()
    assert not (folder / "candidates/1/candidate.json").exists()
    listening = _Listening()
    run = design(None, folder, resume=True, progress=listening)
    first = next(note for note in listening.notes if note.startswith("epoch"))
    # Ctrl-C came before the second epoch was saved.
    assert first.startswith("epoch 2/")
    assert run.measurement.mismatches == 0
    assert len(run.candidates) == 1

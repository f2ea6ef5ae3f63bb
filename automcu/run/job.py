"""What every stage of a run needs: its folder, what is wanted on which board, and who listens."""

import hashlib
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, Self, TypeVar

from pydantic import TypeAdapter

import automcu
from automcu.brief import Brief
from automcu.errors import WrongInputError
from automcu.mcu import find_device
from automcu.mcu.profile import Device
from automcu.networks.family import families_named
from automcu.records import Record, append_line, no_such_file, write_atomically
from automcu.run.records import Settings

AnyRecord = TypeVar("AnyRecord", bound=Record)

_SECONDS = TypeAdapter(dict[str, float])


class Progress(Protocol):
    """Whoever wants to know how far a run has come."""

    def begin(self, stage: str) -> None:
        """Report that a stage begins, and that the one before it has ended."""

    def update(self, fraction: float, note: str = "", seconds_left: float | None = None) -> None:
        """Report how much of the stage is done, from 0 to 1."""

    def notify(self, sentence: str) -> None:
        """Report a decision."""


class Silent:
    """Ignores everything: for scripts and tests."""

    def begin(self, stage: str) -> None:
        """Ignore the stage."""

    def update(self, fraction: float, note: str = "", seconds_left: float | None = None) -> None:
        """Ignore the fraction."""

    def notify(self, sentence: str) -> None:
        """Ignore the sentence."""


class RunFolder:
    """One run on disk. Files appear whole or not at all, so a run resumes from any moment."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path) -> Self:
        """Start a new run in an empty or missing folder; Intake may have left its words there.

        Raises:
            WrongInputError: something is already there.
        """
        folder = cls(path)
        if path.exists() and not path.is_dir():
            raise WrongInputError(f"{no_such_file(path, 'folder')} Choose another with --out.")
        if path.exists() and any(entry != folder.agents for entry in path.iterdir()):
            raise WrongInputError(
                f"{path} already holds something. Add --resume to continue a run there, "
                "or choose another folder with --out."
            )
        return folder

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a run that was begun before.

        Raises:
            WrongInputError: there is none.
        """
        folder = cls(path)
        if not folder.brief.is_file():
            if path.is_dir():
                what = f"{path} holds no run: its brief.json is missing."
            else:
                what = no_such_file(path, "folder")
            raise WrongInputError(f"{what} Start a run with automcu design --out RUN.")
        return folder

    @property
    def brief(self) -> Path:
        """The `Brief`."""
        return self.path / "brief.json"

    @property
    def settings(self) -> Path:
        """The `Settings`."""
        return self.path / "settings.json"

    @property
    def device(self) -> Path:
        """The `Device`, as it was when the run began."""
        return self.path / "device.json"

    @property
    def plan(self) -> Path:
        """The `Plan`."""
        return self.path / "plan.json"

    @property
    def study(self) -> Path:
        """The SQLite database of the run's own Optuna study."""
        return self.path / "study.db"

    @property
    def agents(self) -> Path:
        """The agents' transcripts, a file for each, and what they used."""
        return self.path / "agents"

    @property
    def intake(self) -> Path:
        """The `Draft` that Intake read out of the brief's sentence."""
        return self.agents / "intake.json"

    @property
    def counts(self) -> Path:
        """The `Counts`."""
        return self.path / "counts.json"

    @property
    def deployment(self) -> Path:
        """The `Deployment`."""
        return self.path / "deployment.json"

    @property
    def project(self) -> Path:
        """The C project to take away."""
        return self.path / "project"

    @property
    def measurement(self) -> Path:
        """The `Measurement`."""
        return self.path / "measurement.json"

    @property
    def run(self) -> Path:
        """The `Run`: every record in one file."""
        return self.path / "run.json"

    @property
    def report(self) -> Path:
        """The page for people."""
        return self.path / "report.html"

    @property
    def summary(self) -> Path:
        """The run in words, where it had a Reporter."""
        return self.path / "summary.txt"

    @property
    def surveys(self) -> Path:
        """The folder of what families keep beside the plan."""
        return self.path / "surveys"

    def candidate(self, rank: int) -> Path:
        """Return the folder of a candidate: checkpoint, ONNX files and its record."""
        return self.path / "candidates" / str(rank)

    def name_in_study(self) -> str:
        """Return what tells this run from others in a study; it stays when the folder is moved."""
        file = self.path / "name_in_study"
        if not file.is_file():
            name = f"{self.path.absolute().name}-{secrets.token_hex(4)}"
            write_atomically(file, name.encode())
        return file.read_text("utf-8")

    def proposal(self, rank: int) -> Path:
        """Return the path of the `Proposal` that a candidate came from."""
        return self.candidate(rank) / "proposal.json"

    def log(self, event: str, **details: object) -> None:
        """Add a line to log.jsonl."""
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        append_line(self.path / "log.jsonl", {"time": moment, "event": event, **details})

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time that a block takes, interrupted or not, to the stage's seconds."""
        started = time.monotonic()
        try:
            yield
        finally:
            seconds = self.seconds()
            seconds[stage] = seconds.get(stage, 0.0) + time.monotonic() - started
            write_atomically(self._seconds_path, _SECONDS.dump_json(seconds, indent=2))

    def seconds(self) -> dict[str, float]:
        """Return the seconds that each stage has taken so far, over all attempts."""
        if not self._seconds_path.is_file():
            return {}
        try:
            return _SECONDS.validate_json(self._seconds_path.read_bytes())
        except ValueError as error:
            raise WrongInputError(
                f"{self._seconds_path} is damaged. Delete it and resume the run."
            ) from error

    @property
    def _seconds_path(self) -> Path:
        return self.path / "seconds.json"


def load_if_valid(record: type[AnyRecord], path: Path) -> AnyRecord | None:
    """Return the record at `path`, or None where it is missing or damaged and must be made anew."""
    try:
        return record.load(path)
    except WrongInputError:
        return None


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hex; empty where there is no file."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


@dataclass(frozen=True)
class Job:
    """A run in progress. `device` is the profile as it was when the run began."""

    folder: RunFolder
    brief: Brief
    settings: Settings
    device: Device
    progress: Progress

    @property
    def milliseconds_allowed(self) -> float | None:
        """The longest inference that keeps the brief's latency and energy."""
        return self.brief.limits.milliseconds_allowed(self.device.power.watt)


def start_job(path: Path, brief: Brief, settings: Settings | None, progress: Progress) -> Job:
    """Begin a new run in an empty or missing folder.

    Raises:
        WrongInputError: the folder holds something, or the brief asks for what cannot be done.
    """
    wanted = families_named(brief.family).values()
    with_agents = settings is not None and settings.planner != "offline"
    if with_agents and not all(family.has_agents for family in wanted):
        raise WrongInputError(
            "A language model chooses among cells only. Use --planner offline, or --family cnn."
        )
    folder = RunFolder.create(path)
    job = Job(folder, brief, settings or Settings(), find_device(brief.device), progress)
    job.device.save(folder.device)
    job.settings.save(folder.settings)
    # Last, because its presence says that there is a run to resume.
    job.brief.save(folder.brief)
    folder.log("started", version=automcu.__version__, text=brief.text)
    return job


def resume_job(
    path: Path, brief: Brief | None, settings: Settings | None, progress: Progress
) -> Job:
    """Take up a run where it stopped.

    Raises:
        WrongInputError: the folder holds no run, a damaged one, or one with another brief or
            other settings.
    """
    folder = RunFolder.open(path)
    saved = Brief.load(folder.brief), Settings.load(folder.settings)
    job = Job(folder, *saved, Device.load(folder.device), progress)
    if brief is not None and not brief.asks_the_same(job.brief):
        raise WrongInputError(
            f"{path} holds a run with another brief. Resume it without a brief, "
            "or choose another folder with --out."
        )
    if settings not in (None, job.settings):
        raise WrongInputError(
            f"{path} holds a run with other settings. Resume it without --budget, --seed, "
            "--board, --training-time and --accuracy-table, or choose another folder with --out."
        )
    folder.log("resumed", version=automcu.__version__)
    return job

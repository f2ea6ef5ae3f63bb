"""What every stage of a run needs: what is wanted, on which board, where, and who listens."""

from dataclasses import dataclass
from pathlib import Path

import automcu
from automcu.brief import Brief
from automcu.errors import WrongInputError
from automcu.mcu import find_device
from automcu.mcu.profile import Device
from automcu.networks.family import families_named
from automcu.run.progress import Progress
from automcu.run.records import Settings
from automcu.run.run_folder import RunFolder


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

"""The run's study: which network is next, and what came of it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automcu.brief import Brief
from automcu.networks.family import (
    Family,
    FamilyPlan,
    Network,
    Observation,
    Proposal,
    Task,
    families,
    family_of,
)
from automcu.planner.plan import Plan, next_of_families
from automcu.planner.study import Study
from automcu.run.job import Job
from automcu.run.run_folder import load_if_valid

if TYPE_CHECKING:
    from automcu.planner.agents.council import Council


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


@dataclass(frozen=True)
class Chooser:
    """Who chooses a run's networks: its families, and agents where it has some."""

    job: Job
    plan: Plan
    task: Task
    study: Study
    council: "Council | None" = None

    def choose(
        self, rank: int, tried: Sequence[Network], trained: Sequence[tuple[Network, float]]
    ) -> Proposal | None:
        """Return the run's proposal of this number; None where nothing is left.

        `tried` is what the run has chosen so far, `trained` what came of it, with the accuracy.
        """
        return next_of_families(self.plan, tried, trained, partial(self._next, rank, tried))

    def _next(
        self, rank: int, tried: Sequence[Network], name: str, plan: FamilyPlan
    ) -> Proposal | None:
        family = families()[name]
        if family.parameters:
            return self._claimed(rank, family, plan)
        seen = [Observation(architecture=one, accuracy_percent=None) for one in tried]
        proposal = family.propose(plan, self.task, seen, rank)
        if proposal:
            self._note(proposal)
        return proposal

    def report(self, proposal: Proposal, accuracy_percent: float | None) -> None:
        """Write the result of a proposal into the study; None where it could not be trained.

        What comes of families that studies know nothing of is in the run alone.
        """
        if not family_of(proposal.architecture).parameters:
            return
        claim = self.study.claim_of(proposal.rank)
        if claim is None:
            self.job.folder.log("claim lost", rank=proposal.rank)
        elif accuracy_percent is None:
            self.study.fail(claim.trial)
        else:
            self.study.finish(claim.trial, accuracy_percent)

    def _claimed(self, rank: int, family: Family[Any], plan: FamilyPlan) -> Proposal | None:
        """Return the saved proposal of this number, or one that is chosen now.

        The first one is the offline planner's, whoever chooses the others: a model that chooses
        badly then costs time, but the run has the network that it would have begun with anyway.
        """
        known = self.study.claim_of(rank)
        if known:
            return known.proposal

        def choose(seen: Sequence[Observation]) -> Proposal | None:
            if self.council and self.study.claimed():
                chosen, enough = self._advised(seen, rank)
                if chosen or enough:
                    return chosen
            return family.propose(plan, self.task, seen, rank)

        # What was claimed and not finished has its own number, by which it is found above.
        claim = self.study.claim(choose, besides=True)
        if claim is None:
            return None
        claim.proposal.save(self.job.folder.proposal(rank))
        identity = family.identity(claim.proposal.architecture)
        self.job.folder.log("proposed", rank=rank, **identity, trial=claim.trial)
        return claim.proposal

    def _advised(self, seen: Sequence[Observation], rank: int) -> tuple[Proposal | None, bool]:
        """Return what the agents choose, and whether they think that it is enough."""
        assert self.council is not None, "only runs with agents ask them"
        trained = len(self.study.finished())
        self.job.progress.begin(f"waiting for the language model's network {rank}")
        chosen, enough = self.council.choose(
            seen,
            rank,
            self.job.settings.budget - rank + 1,
            may_stop=trained >= self.plan.fewest_trained,
        )
        if enough:
            self.job.folder.log("critic says it is enough", trained=trained)
        return chosen, enough

    def _note(self, proposal: Proposal) -> None:
        """Write down a proposal that no study holds, once."""
        path = self.job.folder.proposal(proposal.rank)
        if load_if_valid(Proposal, path) != proposal:
            proposal.save(path)
            identity = family_of(proposal.architecture).identity(proposal.architecture)
            self.job.folder.log("proposed", rank=proposal.rank, **identity)

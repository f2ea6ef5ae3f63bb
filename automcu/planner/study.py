"""What was chosen and its result, in an Optuna study: for resuming, sharing and looking at.

One study serves one run or many: each asks for a network, sees what all have trained and are
training, and reports its own results. The database is SQLite or any that SQLAlchemy opens;
`optuna-dashboard URL` shows it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.exceptions import StorageInternalError
from optuna.samplers import BaseSampler
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from automcu.errors import ToolError, WrongInputError
from automcu.networks.family import Family, Network, Observation, Proposal, families, family_of

Choose = Callable[[Sequence[Observation]], Proposal | None]
"""Chooses the next network from what the study has seen."""

_READINGS = 100
_SECONDS_BETWEEN_READINGS = 0.1
_WRITTEN_WITHIN = timedelta(seconds=30)
_PROPOSAL, _RUN = "proposal", "run"


@dataclass(frozen=True)
class Claim:
    """A network that this run is to train, and its trial's number in the study."""

    trial: int
    proposal: Proposal


@dataclass(frozen=True)
class StudySummary:
    """A study as `automcu studies` lists it."""

    name: str
    trained: int
    running: int
    failed: int
    best_percent: float | None
    runs: tuple[str, ...]


class Study:
    """An open study; opened anew by each run and each process."""

    def __init__(self, url: str, name: str, run: str) -> None:
        """Open a study, or begin it.

        Args:
            url: of the database, such as `sqlite:///study.db`.
            name: of the study in it.
            run: names this run among all that share the study.

        Raises:
            WrongInputError: the URL is none that SQLAlchemy knows.
            ToolError: the database cannot be opened.
        """
        self._run = run
        self._sampler = _Chosen()
        storage = _storage(url)
        self._study = optuna.create_study(
            storage=storage,
            study_name=name,
            sampler=self._sampler,
            direction="maximize",
            load_if_exists=True,
        )

    def claim(self, choose: Choose, *, besides: bool = False) -> Claim | None:
        """Return the next network for this run; None where nothing is left to choose.

        What this run claimed and never finished, because it was killed, comes first; unless the
        claim is to stand `besides` those. Two runs that choose the same network at the same moment
        see it: the later one chooses again.
        """
        with _reached():
            unfinished = [] if besides else self._own(TrialState.RUNNING)
            if unfinished:
                return _claimed(unfinished[0])
            while (proposal := choose(self.observations())) is not None:
                trial = self._begin(proposal)
                if not self._claimed_before(trial):
                    return Claim(trial, proposal)
                self.fail(trial)
        return None

    def finish(self, trial: int, accuracy_percent: float) -> None:
        """Report the result of a claim; reporting it again changes nothing."""
        with _reached():
            self._study.tell(trial, accuracy_percent, skip_if_finished=True)

    def fail(self, trial: int) -> None:
        """Tell that a claim came to nothing."""
        with _reached():
            self._study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)

    def finished(self) -> tuple[Claim, ...]:
        """Return what this run has trained so far, in its order."""
        return tuple(_claimed(trial) for trial in self._own(TrialState.COMPLETE))

    def claimed(self) -> int:
        """Return how many networks this run has trained or is training."""
        return sum(len(self._own(state)) for state in (TrialState.RUNNING, TrialState.COMPLETE))

    def claim_of(self, rank: int) -> Claim | None:
        """Return what this run claimed as its proposal of this number, whatever its result."""
        own = [claim for state in TrialState for claim in map(_claimed, self._own(state))]
        return next((claim for claim in own if claim.proposal.rank == rank), None)

    def observations(self) -> tuple[Observation, ...]:
        """Return every network that any run has chosen, in their order."""
        return tuple(_observed(trial) for trial in self._trials() if _is_written(trial))

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _own(self, state: TrialState) -> list[FrozenTrial]:
        return [
            trial
            for trial in self._trials()
            if trial.state == state
            and trial.user_attrs.get(_RUN) == self._run
            and _PROPOSAL in trial.user_attrs
        ]

    def _begin(self, proposal: Proposal) -> int:
        family = family_of(proposal.architecture)
        self._sampler.parameters = family.study_parameters(proposal.architecture)
        trial = self._study.ask(_distributions(family))
        trial.set_user_attr(_RUN, self._run)
        trial.set_user_attr(_PROPOSAL, proposal.model_dump(mode="json"))
        return trial.number

    def _claimed_before(self, number: int) -> bool:
        """Say whether an earlier trial has the same network.

        A trial's parameters are written one after the other, so earlier ones that have just
        begun are waited for.
        """
        for _ in range(_READINGS):
            trials = {trial.number: trial for trial in self._trials()}
            earlier = [trial for trial in trials.values() if trial.number < number]
            if not any(_is_being_written(trial) for trial in earlier):
                break
            time.sleep(_SECONDS_BETWEEN_READINGS)
        return any(trial.params == trials[number].params for trial in earlier)


class _Chosen(BaseSampler):
    """Gives a trial the parameters that were chosen for it."""

    def __init__(self) -> None:
        self.parameters: dict[str, int] = {}

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self.parameters[param_name]


def list_studies(url: str) -> tuple[StudySummary, ...]:
    """Return the studies of a database, by name.

    Raises:
        WrongInputError: the URL is none that SQLAlchemy knows.
        ToolError: the database cannot be opened.
    """
    storage = _storage(url)
    names = sorted(one.study_name for one in optuna.get_all_study_summaries(storage))
    return tuple(_summary(optuna.load_study(study_name=name, storage=storage)) for name in names)


def _summary(study: optuna.Study) -> StudySummary:
    trials = study.get_trials(deepcopy=False)
    count = {state: sum(trial.state == state for trial in trials) for state in TrialState}
    reached = [trial.value for trial in trials if trial.value is not None]
    return StudySummary(
        name=study.study_name,
        trained=count[TrialState.COMPLETE],
        running=count[TrialState.RUNNING],
        failed=count[TrialState.FAIL],
        best_percent=max(reached, default=None),
        runs=tuple(sorted({trial.user_attrs[_RUN] for trial in trials if trial.user_attrs})),
    )


def _storage(url: str) -> RDBStorage:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return RDBStorage(url, engine_kwargs=_patience(url))
    except (SQLAlchemyError, ImportError, ValueError) as error:
        # The URL may hold a password, and so may the database's own words.
        scheme = url.partition(":")[0] if "://" in url else None
        if scheme is None:
            raise WrongInputError(
                "The study's address is no database URL. Give one like sqlite:///studies.db."
            ) from None
        raise ToolError(
            f"The {scheme} database of the study cannot be opened ({type(error).__name__}). "
            "Check that it is there, that its driver is installed, and the URL."
        ) from None


@contextmanager
def _reached() -> Iterator[None]:
    """Turn a database that went away into an error for people."""
    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        raise ToolError(
            f"The database of the study no longer answers ({type(error).__name__}). "
            "Nothing that was trained is lost: resume the run when the database is back."
        ) from None


def _patience(url: str) -> dict[str, Any]:
    """SQLite lets one process write at a time; others wait for it rather than fail."""
    return {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {}


def _distributions(family: Family[Any]) -> dict[str, BaseDistribution]:
    return {name: IntDistribution(*bounds) for name, bounds in family.parameters.items()}


def _family(trial: FrozenTrial) -> Family[Any] | None:
    """The family whose parameters are all there; None where the trial is still being written."""
    return next(
        (
            family
            for family in families().values()
            if family.parameters and trial.params.keys() == family.parameters.keys()
        ),
        None,
    )


def _is_written(trial: FrozenTrial) -> bool:
    return _family(trial) is not None


def _is_being_written(trial: FrozenTrial) -> bool:
    """Not so where a run was killed while writing, some time ago."""
    if _is_written(trial) or trial.state != TrialState.RUNNING or trial.datetime_start is None:
        return False
    return datetime.now() - trial.datetime_start < _WRITTEN_WITHIN


def _claimed(trial: FrozenTrial) -> Claim:
    return Claim(trial.number, Proposal.model_validate(trial.user_attrs[_PROPOSAL]))


def _observed(trial: FrozenTrial) -> Observation:
    return Observation(
        architecture=_network(trial),
        accuracy_percent=trial.value if trial.state == TrialState.COMPLETE else None,
    )


def _network(trial: FrozenTrial) -> Network:
    """A trial's parameters are written first, and may be all that there is of it."""
    if _PROPOSAL in trial.user_attrs:
        return _claimed(trial).proposal.architecture
    family = _family(trial)
    assert family is not None, "only written trials are looked at"
    network: Network = family.from_study(trial.params)
    return network

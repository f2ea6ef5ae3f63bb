"""How good the planner's choices are: on NAS-Bench-201's table, beside controls.

    python -m benchmarks.nas [--seeds N] [--dataset NAME] [--unconstrained] [--quick] [--json]
    python -m benchmarks.nas --planner llm|local [--model M] [--base-url URL] [--blind] [--seeds N]

A search may train so many cells; to train one is to look up its validation accuracy after 200
epochs. It then chooses the cell with the highest one, and reported is that cell's test accuracy:
mean and standard deviation over the seeds (100; ten where more than ten cells are trained and for
the planner without a part of it; one where nothing is left to chance), and `regret`, how far the
mean is below the best test accuracy of all cells that fit. `best_by_validation` is the test
accuracy that a search reaches which trains all of them.

The planner's rows call what `automcu design` calls: `rank_cells`, the one prior, `plan` and
`next_proposal`. Rows with "CIFAR-10 table" are a run's default, whose prior is the embedded
AnalogNAS-Bench table. On CIFAR-10 itself they are left out: that table would be the answer. Rows
with "no table" are a run that has none, and knows of a cell only how it is wired. No search sees
anything of the table that answers its queries but what it trains.

Cells are those of the benchmark's own skeleton (16 stem channels, 5 cells a stage, 32x32x3): those
that fit three device limits, and all of them, with latencies of a board that holds all. Controls
see the feasible cells only; the planner without feasibility sees all and loses the queries that do
not fit. Published rows are AutoMCU's and its figure for GENIUS. Accuracies come from
`$AUTOMCU_DATA/nb201_core.csv.gz` or `../shared/data`. `benchmarks/nas.csv` has the full run's rows.

With --planner agents choose instead, on all cells and with ten queries; --blind gives the
operations other names in what the language model sees, so that it cannot remember the table.
`answered` is the share of cells that the model chose itself; the offline planner chose the rest.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from automcu.brief import Limits
from automcu.errors import AutomcuError, WrongInputError
from automcu.mcu import find_device
from automcu.networks.cells.accuracies import AccuracyTable, accuracy_prior, unknown_accuracies
from automcu.networks.cells.skeleton import Skeleton, Survey
from automcu.networks.cells.survey import survey
from benchmarks.accuracies import benchmark_table
from benchmarks.nas_agents import agents_search
from benchmarks.nas_searches import (
    ABLATIONS,
    NEED_A_TABLE,
    SEARCHES,
    WITHOUT_CHANCE,
    Oracle,
    OutOfQueriesError,
    Search,
    Task,
)

SEEDS = 100
QUERIES = (3, 10, 30, 100)
_SHORT_QUERIES = 10
_SEEDS_OF_LONG_RUNS = 10
_AGENTS_QUERIES = 10
_QUICK_SEEDS = 5
_WITHOUT_FEASIBILITY = "offline planner without feasibility"


@dataclass(frozen=True)
class Data:
    """A data set of the benchmark: the prefix of its columns, and its number of classes."""

    prefix: str
    classes: int


DATASETS = {
    "CIFAR-10": Data("c10", 10),
    "CIFAR-100": Data("c100", 100),
    "ImageNet16-120": Data("in16", 120),
}


@dataclass(frozen=True)
class DeviceLimit:
    """A board and, where there is one, the latency allowed on it."""

    device: str
    max_latency_ms: float | None = None

    def __str__(self) -> str:
        limit = f" within {self.max_latency_ms:g} ms" if self.max_latency_ms else ""
        return f"{self.device}{limit}"


LIMITS = (
    None,
    DeviceLimit("stm32f407vet6"),
    DeviceLimit("nucleo-l4r5zi", 500.0),
    DeviceLimit("stm32f746g-disco", 100.0),
)
# All connected cells of the skeleton fit it, so it limits nothing; its latencies rank capacity.
_HOLDS_ALL = DeviceLimit("nucleo-h743zi2")
_DATASET_OF_TABLE = "CIFAR-10"


@dataclass(frozen=True)
class Row:
    """One search on one data set; accuracies in percent, `device` None where unconstrained."""

    planner: str
    dataset: str
    queries: int
    device: str | None
    seeds: int
    test_mean: float
    test_std: float | None
    regret: float
    feasible: int
    best_test: float
    best_by_validation: float
    published: bool = False
    answered: float | None = None


@dataclass(frozen=True, eq=False)
class Problem:
    """What may be known and trained, and what comes of it: accuracies in percent [15625]."""

    dataset: str
    device: str | None
    task: Task
    validation: NDArray[np.float64]
    test: NDArray[np.float64]

    @property
    def feasible(self) -> Sequence[int]:
        """The cells that fit."""
        return self.task.feasible

    @property
    def best_test(self) -> float:
        """The highest test accuracy of all cells that fit."""
        return float(self.test[list(self.feasible)].max())

    @property
    def best_by_validation(self) -> float:
        """Test accuracy of the cell that validation puts first of all that fit."""
        return float(self.test[max(self.feasible, key=lambda index: self.validation[index])])


def problems(
    table: pd.DataFrame, datasets: Sequence[str], unconstrained: bool
) -> Iterator[Problem]:
    for limit in LIMITS[:1] if unconstrained else LIMITS:
        for name in datasets:
            data = DATASETS[name]
            yield Problem(
                dataset=name,
                device=str(limit) if limit else None,
                task=task_of(limit, name),
                validation=table[f"{data.prefix}_val200"].to_numpy(),
                test=table[f"{data.prefix}_test200"].to_numpy(),
            )


def task_of(limit: DeviceLimit | None, dataset: str) -> Task:
    """What a search may know; the embedded table only where it is of another data set."""

    def found(limit: DeviceLimit, prior: AccuracyTable) -> Survey:
        return survey(
            find_device(limit.device),
            Skeleton(classes=DATASETS[dataset].classes),
            Limits(latency_ms=limit.max_latency_ms),
            prior=prior,
        )

    here = limit or _HOLDS_ALL
    return Task(
        with_table=None if dataset == _DATASET_OF_TABLE else found(here, accuracy_prior()),
        without_table=found(here, unknown_accuracies()),
        whole_space=found(_HOLDS_ALL, unknown_accuracies()),
        latency_limit_ms=limit.max_latency_ms if limit else None,
    )


def run(search: Search, problem: Problem, queries: int, seed: int) -> list[int | None]:
    """The cells in the order in which they were trained, None for those that did not fit."""
    oracle = Oracle(problem.validation, problem.feasible, queries)
    with suppress(OutOfQueriesError):
        search(oracle, problem.task, seed)
    return oracle.trained


def chosen_test(problem: Problem, trained: Sequence[int | None]) -> float:
    """Test accuracy of the cell with the best validation accuracy; NaN where nothing fitted."""
    fitting = [index for index in trained if index is not None]
    if not fitting:
        return float("nan")
    return float(problem.test[max(fitting, key=lambda index: problem.validation[index])])


def searches_of(problem: Problem) -> list[str]:
    """The searches that make sense: none with the answers, and all that is limited by a device."""
    left_out = {_WITHOUT_FEASIBILITY} if problem.device is None else set()
    if problem.task.with_table is None:
        left_out |= NEED_A_TABLE
    return [name for name in SEARCHES if name not in left_out]


def rows_of(problem: Problem, name: str, queries: Sequence[int], seeds: int) -> list[Row]:
    """Shorter runs are the beginnings of longer ones: no search looks ahead."""
    rows = []
    for count, runs in _runs(problem, name, queries, seeds):
        rows.append(_row(problem, name, count, [one[:count] for one in runs]))
    return rows


def _runs(
    problem: Problem, name: str, queries: Sequence[int], seeds: int
) -> Iterator[tuple[int, list[list[int | None]]]]:
    """Each count of queries with its runs; long ones take longer, so there are fewer of them."""
    short = [count for count in queries if count <= _SHORT_QUERIES]
    for counts, repeats in (
        (short, seeds),
        (queries[len(short) :], min(seeds, _SEEDS_OF_LONG_RUNS)),
    ):
        if name in WITHOUT_CHANCE:
            repeats = 1
        elif name in ABLATIONS:
            repeats = min(repeats, _SEEDS_OF_LONG_RUNS)
        runs = [run(SEARCHES[name], problem, max(counts, default=0), at) for at in range(repeats)]
        yield from ((count, runs) for count in counts)


def _row(problem: Problem, name: str, queries: int, runs: Sequence[Sequence[int | None]]) -> Row:
    reached = np.array([chosen_test(problem, one) for one in runs])
    # A run that trained nothing that fits has lost: it counts as a guess among the classes.
    guess = 100.0 / DATASETS[problem.dataset].classes
    reached = np.where(np.isnan(reached), guess, reached)
    return Row(
        planner=name,
        dataset=problem.dataset,
        queries=queries,
        device=problem.device,
        seeds=len(runs),
        test_mean=round(float(reached.mean()), 3),
        test_std=round(float(reached.std()), 3),
        regret=round(problem.best_test - float(reached.mean()), 3),
        feasible=len(problem.feasible),
        best_test=round(problem.best_test, 3),
        best_by_validation=round(problem.best_by_validation, 3),
    )


def published(problem: Problem) -> list[Row]:
    """AutoMCU's paper, CIFAR-100: ten runs of ten proposals, and its figure for GENIUS."""
    if problem.dataset != "CIFAR-100" or problem.device:
        return []
    figures = (("AutoMCU (published)", 72.24, 1.21), ("GENIUS (published)", 71.30, None))
    return [
        Row(
            planner=name,
            dataset=problem.dataset,
            queries=10,
            device=None,
            seeds=10,
            test_mean=mean,
            test_std=deviation,
            regret=round(problem.best_test - mean, 3),
            feasible=len(problem.feasible),
            best_test=round(problem.best_test, 3),
            best_by_validation=round(problem.best_by_validation, 3),
            published=True,
        )
        for name, mean, deviation in figures
    ]


def agents_row(problem: Problem, options: argparse.Namespace) -> Row:
    """Ten queries, chosen by a language model, without device limits."""
    search = agents_search(options.planner, options.model, options.base_url, options.blind)
    runs = []
    for seed in range(options.seeds):
        runs.append(run(search, problem, _AGENTS_QUERIES, seed))
        reached = chosen_test(problem, runs[-1])
        print(f"seed {seed}: {reached:.2f} %, {search.lost} turns lost", file=sys.stderr)
    for reason in sorted(search.problems):
        print(f"lost because {reason}", file=sys.stderr)
    name = f"agents with {search.settings.model}{' (blind)' if options.blind else ''}"
    answered = search.proposed / (search.proposed + search.lost)
    return replace(_row(problem, name, _AGENTS_QUERIES, runs), answered=round(answered, 3))


def read_table() -> pd.DataFrame:
    """Validation and test accuracies by cell index.

    Raises:
        WrongInputError: the table is not on this machine.
    """
    path = benchmark_table()
    if path is None:
        raise WrongInputError(
            "nb201_core.csv.gz is missing. Point AUTOMCU_DATA at the folder that holds it."
        )
    columns = [f"{d.prefix}_{split}200" for d in DATASETS.values() for split in ("val", "test")]
    return pd.read_csv(path, usecols=["idx", *columns]).set_index("idx").sort_index()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"runs of each search ({SEEDS})")
    parser.add_argument("--dataset", action="append", choices=DATASETS, help="only this one")
    parser.add_argument("--unconstrained", action="store_true", help="without device limits")
    parser.add_argument(
        "--quick", action="store_true", help="5 seeds, up to 10 queries; writes no CSV"
    )
    parser.add_argument("--planner", choices=("llm", "local"), help="agents choose")
    parser.add_argument("--model", help="their language model, or its GGUF file")
    parser.add_argument("--base-url", help="its server")
    parser.add_argument("--blind", action="store_true", help="other names for the operations")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    _check(options)
    if options.planner:
        chosen = problems(read_table(), options.dataset or list(DATASETS), unconstrained=True)
        agents = [agents_row(problem, options) for problem in chosen]
        print(json.dumps([asdict(row) for row in agents])) if options.json else show(agents)
        return 0
    seeds, queries = (_QUICK_SEEDS, QUERIES[:2]) if options.quick else (options.seeds, QUERIES)
    full = not (options.quick or options.dataset or options.unconstrained) and seeds >= SEEDS
    rows: list[Row] = []
    for problem in problems(read_table(), options.dataset or list(DATASETS), options.unconstrained):
        for name in searches_of(problem):
            rows += rows_of(problem, name, queries, seeds)
        rows += published(problem)
        print(f"{problem.dataset}, {problem.device or 'unconstrained'}: done", file=sys.stderr)
    if full:
        found = pd.DataFrame([asdict(row) for row in rows])
        found.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    print(json.dumps([asdict(row) for row in rows])) if options.json else show(rows)
    return 0


def _check(options: argparse.Namespace) -> None:
    if options.seeds < 1:
        raise WrongInputError("At least one seed is needed. Give --seeds 1 or more.")
    if options.blind and not options.planner:
        raise WrongInputError("Only a language model can be blind. Add --planner llm or local.")
    if options.planner == "llm" and not options.model:
        raise WrongInputError("Which language model? Name it with --model.")


def show(rows: Sequence[Row]) -> None:
    """Print one block for each data set and limit, the best search first."""
    for where in dict.fromkeys((row.dataset, row.device, row.queries) for row in rows):
        block = [row for row in rows if (row.dataset, row.device, row.queries) == where]
        dataset, device, queries = where
        print(
            f"\n{dataset}, {device or 'unconstrained'}, {queries} queries: best of "
            f"{block[0].feasible:,} cells {block[0].best_test:.2f} %"
        )
        for row in sorted(block, key=lambda row: row.regret):
            spread = f" ± {row.test_std:.2f}" if row.test_std is not None else ""
            chosen = f"  {row.answered:.0%} its own" if row.answered is not None else ""
            regret = f"regret {row.regret:5.2f}{chosen}"
            print(f"  {row.planner:36}{row.test_mean:6.2f}{spread:8}  {regret}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AutomcuError as problem:
        print(problem, file=sys.stderr)
        sys.exit(problem.exit_code)

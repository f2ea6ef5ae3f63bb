"""How many runs are lost when the language model's server, or the worker itself, fails.

    python -m benchmarks.planner_faults [--runs N] [--json]

Each run has agents and a study, plans for the STM32F407 discovery board and has to choose three
networks and report their results. What goes wrong is taken in turn: answers that are no JSON,
of another shape, or hostile; a server that counts no tokens, or garbles their count or its choices;
one that sends no completion at all, or one without end; that refuses, is overloaded, breaks off, is
too slow, or is not there; a model that wants the same poor cell again and again and then to stop;
and a worker that is killed (SIGKILL) while it trains and is then started again. A run is lost if it
raises, or chooses fewer than three networks, one that does not fit, or one twice, or if its first
network is not the offline planner's.
Networks are not trained: the accuracy is a number made up from the cell's index.
`benchmarks/planner_faults.csv` holds the rows of 200 runs.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd

from automcu.brief import Limits
from automcu.errors import AutomcuError, WrongInputError
from automcu.mcu import find_device
from automcu.networks.cells.plan import plan
from automcu.networks.cells.prior import rank_cells
from automcu.networks.cells.search import next_proposal
from automcu.networks.cells.skeleton import Skeleton, Survey
from automcu.networks.cells.survey import survey
from automcu.networks.family import Observation, Proposal
from automcu.planner.council import Council, FeasibleSpace
from automcu.planner.language_model import LanguageModel
from automcu.planner.plan import Plan
from automcu.planner.records import ModelSettings
from automcu.planner.study import Study

RUNS = 200
_NETWORKS = 3
_LIMIT_MS = 20.0
_SKELETON = Skeleton(stem_channels=8, cells_per_stage=1, resolution=8, input_channels=1)
_TIME_OUT_S = 0.5
_BAD_ANSWERS = {
    "no JSON": "I would rather talk about the weather.",
    "another shape": '{"proposals": [{"skeleton": "big", "cell": ["conv5x5"]}]}',
    "hostile": '{"proposals": [], "path": "../../etc/passwd", "run": "rm -rf /"}',
    "absurdly long": "9" * 500_000,
}
_STATUSES = {"refused": 401, "overloaded": 429, "broken": 500}
_POOR = json.dumps(
    {
        "proposals": [
            {"skeleton": 1, "cell": ["none", "none", "none", "skip_connect"] + 2 * ["none"]}
        ]
    }
)
_USAGES: dict[str, object] = {
    "no usage": None,
    "usage without counts": {"prompt_tokens": None},
    "usage in words": {"prompt_tokens": "few", "completion_tokens": [3]},
    "negative usage": {"prompt_tokens": -7, "completion_tokens": -1},
    "huge usage": {"prompt_tokens": 1e300, "completion_tokens": 10**400},
}
_CHOICES: dict[str, object] = {
    "no choices": None,
    "empty choices": [],
    "a refusal": [{"message": {"role": "assistant", "content": None, "refusal": "I cannot."}}],
    "content as numbers": [{"message": {"role": "assistant", "content": [1, 2]}}],
    "lone surrogates": [{"message": {"role": "assistant", "content": '{"stop": "\ud800"}'}}],
}
_BODIES = {
    "HTML": b"<html>502 Bad Gateway</html>",
    "an error with status 200": b'{"error": {"message": "no"}}',
    "invalid UTF-8": b'{"choices": "\xff\xfe"}',
    "nested without end": b"[" * 200_000,
}
FAULTS = (
    *(*_BAD_ANSWERS, *_USAGES, *_CHOICES, *_BODIES, *_STATUSES),
    *("an answer without end", "cut off", "too slow", "dead server", "weak model", "killed worker"),
)


@dataclass(frozen=True)
class Row:
    """All runs with one fault."""

    fault: str
    runs: int
    lost: int
    turns_lost: int
    seconds_per_run: float


class Server:
    """A server on this machine that fails in one way."""

    def __init__(self, fault: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                _fail(self, fault, self.rfile.read(int(self.headers["Content-Length"])))

            def log_message(self, format: str, *args: object) -> None:
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()


def _fail(handler: BaseHTTPRequestHandler, fault: str, asked: bytes) -> None:
    if fault == "too slow":
        time.sleep(2 * _TIME_OUT_S)
        return
    body = _BODIES.get(fault) or _completion(fault, asked)
    handler.send_response(_STATUSES.get(fault, 200))
    handler.send_header("Content-Type", "application/json")
    if fault == "an answer without end":
        handler.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(1000):
                handler.wfile.write(b" " * 1_000_000)
        return
    handler.send_header("Content-Length", str(len(body) + (500 if fault == "cut off" else 0)))
    handler.end_headers()
    handler.wfile.write(body)


def _completion(fault: str, asked: bytes) -> bytes:
    """A completion; but for its fault it is that of a model that answers in the right form."""
    good = '{"stop": true}' if b"# Critic" in asked else _POOR
    is_good = fault in _USAGES or fault == "weak model"
    content = good if is_good else _BAD_ANSWERS.get(fault, "{}")
    completion = {
        "choices": _CHOICES.get(
            fault, [{"index": 0, "message": {"role": "assistant", "content": content}}]
        ),
        "usage": _USAGES.get(fault),
    }
    return json.dumps(completion).encode()


def carry_out(folder: Path, url: str, found: Survey, seed: int, killed_at: int = 0) -> int:
    """Choose three networks and report them; return how many turns the agents lost.

    With `killed_at`, the process kills itself while it trains that network.
    """
    options = ModelSettings(model="faulty", base_url=url, timeout_s=_TIME_OUT_S, attempts=1)
    space = FeasibleSpace([found], _LIMIT_MS)
    ranked = rank_cells(found, _LIMIT_MS)
    council = Council(LanguageModel(options, folder), space, seed)
    study = Study(f"sqlite:///{folder / 'study.db'}", "faults", "run")
    proposals = _plan(found, seed)
    planned = Plan.model_construct(seed=seed, budget=_NETWORKS, proposals=proposals)
    for rank in range(len(study.finished()) + 1, _NETWORKS + 1):

        def choose(seen: Sequence[Observation], rank: int = rank) -> Proposal | None:
            chosen = None
            if study.claimed():
                may_stop = len(study.finished()) >= planned.fewest_trained
                chosen, enough = council.choose(seen, rank, _NETWORKS - rank + 1, may_stop)
                if enough:
                    return None
            return chosen or next_proposal(proposals, lambda _: ranked, seen, seed=seed, rank=rank)

        claim = study.claim(choose)
        if claim is None:
            break
        if rank == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        study.finish(claim.trial, 80.0 + claim.proposal.cell_index % 17)
    return council.turns.lost


def is_whole(folder: Path, found: Survey, seed: int) -> bool:
    """Whether a run trained three different networks that fit, the offline planner's first."""
    claims = Study(f"sqlite:///{folder / 'study.db'}", "faults", "run").finished()
    chosen = [claim.proposal.cell_index for claim in claims]
    first = _plan(found, seed)[0].cell_index
    fit = {cell.index for cell in found.feasible_cells}
    return len(set(chosen)) == _NETWORKS and set(chosen) <= fit and chosen[0] == first


def _plan(found: Survey, seed: int) -> tuple[Proposal, ...]:
    return plan([rank_cells(found, _LIMIT_MS)], budget=_NETWORKS, seed=seed)


def one_run(fault: str, found: Survey, seed: int) -> tuple[bool, int]:
    """Whether the run was lost, and how many turns its agents lost."""
    server = None if fault in ("dead server", "killed worker") else Server(fault)
    url = server.url if server else "http://127.0.0.1:9/v1"
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if fault == "killed worker":
                arguments = (folder, url, found, seed, 1 + seed // len(FAULTS) % _NETWORKS)
                worker = multiprocessing.get_context("fork").Process(
                    target=carry_out, args=arguments
                )
                worker.start()
                worker.join()
                if worker.exitcode != -signal.SIGKILL:
                    raise RuntimeError(f"the worker ended with {worker.exitcode}")
            turns = carry_out(folder, url, found, seed)
            return not is_whole(folder, found, seed), turns
    except Exception as error:  # whatever it is, the run is lost
        print(f"{fault}: {type(error).__name__}: {error}", file=sys.stderr)
        return True, 0
    finally:
        if server:
            server.stop()


def measure(runs: int) -> list[Row]:
    found = survey(find_device("stm32f407g-disc1"), _SKELETON, Limits(latency_ms=_LIMIT_MS))
    lost: Counter[str] = Counter()
    turns: Counter[str] = Counter()
    count: Counter[str] = Counter()
    seconds = dict.fromkeys(FAULTS, 0.0)
    for seed in range(runs):
        fault = FAULTS[seed % len(FAULTS)]
        started = time.monotonic()
        was_lost, turns_lost = one_run(fault, found, seed)
        count[fault] += 1
        lost[fault] += was_lost
        turns[fault] += turns_lost
        seconds[fault] += time.monotonic() - started
        print(f"\r{seed + 1}/{runs}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return [
        Row(fault, count[fault], lost[fault], turns[fault], round(seconds[fault] / count[fault], 2))
        for fault in FAULTS
        if count[fault]
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=RUNS, help=f"how many in all ({RUNS})")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.runs < 1:
        raise WrongInputError("At least one run is needed. Give --runs 1 or more.")
    rows = measure(options.runs)
    if options.runs >= RUNS:
        found = pd.DataFrame([asdict(row) for row in rows])
        found.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    if options.json:
        print(json.dumps([asdict(row) for row in rows]))
    else:
        for row in rows:
            print(
                f"{row.fault:26}{row.runs:4} runs{row.lost:4} lost{row.turns_lost:5} turns lost"
                f"{row.seconds_per_run:8.2f} s a run"
            )
        print(f"{sum(row.lost for row in rows)} of {sum(row.runs for row in rows)} runs lost")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AutomcuError as problem:
        print(problem, file=sys.stderr)
        sys.exit(problem.exit_code)

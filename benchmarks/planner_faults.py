"""How many runs are lost when the language model's server, or the worker itself, fails.

    python -m benchmarks.planner_faults [--runs N] [--json]

Each run has agents and a study, plans for the STM32F407 discovery board and has to choose three
networks and tell what came of them. What goes wrong is taken in turn: answers that are no JSON,
of another shape, or hostile; a server that refuses, is overloaded, breaks off, is too slow, or is
not there; and a worker that is killed (SIGKILL) while it trains and is then started again. A run
is lost if it raises, or chooses fewer than three networks, one that does not fit, or one twice.
Networks are not trained: the accuracy is a number made up from the cell's index.
`benchmarks/planner_faults.csv` holds the rows of 200 runs.
"""

import argparse
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
from automcu.cost import Survey, survey
from automcu.devices import find_device
from automcu.errors import AutomcuError, WrongInputError
from automcu.planner import Observation, Plan, Proposal, Study, next_proposal, plan
from automcu.planner.agents import Council, FeasibleSpace, LanguageModel, ModelSettings
from automcu.space import Skeleton

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
FAULTS = (*_BAD_ANSWERS, *_STATUSES, "cut off", "too slow", "dead server", "killed worker")


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
                self.rfile.read(int(self.headers["Content-Length"]))
                _fail(self, fault)

            def log_message(self, format: str, *args: object) -> None:
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()


def _fail(handler: BaseHTTPRequestHandler, fault: str) -> None:
    if fault == "too slow":
        time.sleep(2 * _TIME_OUT_S)
        return
    message = {"role": "assistant", "content": _BAD_ANSWERS.get(fault, "{}")}
    body = json.dumps({"choices": [{"index": 0, "message": message}]}).encode()
    handler.send_response(_STATUSES.get(fault, 200))
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body) + (500 if fault == "cut off" else 0)))
    handler.end_headers()
    handler.wfile.write(body)


def carry_out(folder: Path, url: str, found: Survey, seed: int, killed_at: int = 0) -> int:
    """Choose three networks and tell of them; return how many turns the agents lost.

    With `killed_at`, the process kills itself while it trains that network.
    """
    options = ModelSettings(model="faulty", base_url=url, timeout_s=_TIME_OUT_S, attempts=1)
    space = FeasibleSpace([found], _LIMIT_MS)
    council = Council(LanguageModel(options, folder), space, seed)
    study = Study(f"sqlite:///{folder / 'study.db'}", "faults", "run")
    proposals = plan({_SKELETON: found}, latency_limit_ms=_LIMIT_MS, budget=_NETWORKS, seed=seed)
    planned = Plan.model_construct(seed=seed, proposals=proposals)
    for rank in range(len(study.finished()) + 1, _NETWORKS + 1):

        def choose(seen: Sequence[Observation], rank: int = rank) -> Proposal | None:
            chosen, _ = council.choose(seen, rank, _NETWORKS - rank + 1)
            return chosen or next_proposal(
                planned, lambda _: found, seen, rank=rank, latency_limit_ms=_LIMIT_MS
            )

        claim = study.claim(choose)
        if claim is None:
            break
        if rank == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        study.finish(claim.trial, 80.0 + claim.proposal.cell_index % 17)
    return council.turns.lost


def is_whole(folder: Path, found: Survey) -> bool:
    """Whether the run has trained three networks that fit, all of them different."""
    claims = Study(f"sqlite:///{folder / 'study.db'}", "faults", "run").finished()
    chosen = {claim.proposal.cell_index for claim in claims}
    return len(chosen) == _NETWORKS and chosen <= {cell.index for cell in found.feasible_cells}


def one_run(fault: str, found: Survey, seed: int) -> tuple[bool, int]:
    """Whether the run was lost, and how many turns its agents lost."""
    server = None if fault in ("dead server", "killed worker") else Server(fault)
    url = server.url if server else "http://127.0.0.1:9/v1"
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if fault == "killed worker":
                arguments = (folder, url, found, seed, 1 + seed % _NETWORKS)
                worker = multiprocessing.get_context("fork").Process(
                    target=carry_out, args=arguments
                )
                worker.start()
                worker.join()
                if worker.exitcode != -signal.SIGKILL:
                    raise RuntimeError(f"the worker ended with {worker.exitcode}")
            turns = carry_out(folder, url, found, seed)
            return not is_whole(folder, found), turns
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
                f"{row.fault:16}{row.runs:4} runs{row.lost:4} lost{row.turns_lost:5} turns lost"
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

"""How long planning takes: everything of a run but data, training, building and measuring.

    python -m benchmarks.planning_time [--budget N] [--json]

Plans for the README's sentence (digits, STM32F407 discovery board, 20 ms, 64 KB) with the offline
planner: surveys, plan, and then network after network chosen, reviewed and reported to the study. A
network's result is made up from its number. Once, and once more in the same process, which has the
tables of cells by then. Seconds of wall clock, and of this process's processors,
which other programs on the machine do not lengthen.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from automcu.brief import Brief
from automcu.datasets.load import load_dataset
from automcu.errors import AutomcuError
from automcu.networks.estimate import judge
from automcu.run.candidates import Chooser, make_plan, open_study, task_of
from automcu.run.job import Silent, start_job
from automcu.run.records import Settings

BUDGET = 10


@dataclass(frozen=True)
class Row:
    """One planning; `choosing` is the share of the wall clock after the plan."""

    plan: str
    networks: int
    seconds: float
    processor_seconds: float
    choosing: float


def plan_once(plan_name: str, folder: Path, budget: int) -> Row:
    brief = Brief(
        text="",
        device="stm32f407g-disc1",
        dataset="digits",
        max_latency_ms=20.0,
        max_ram_bytes=64 * 1024,
    )
    dataset = load_dataset("digits")
    started, processors = time.monotonic(), time.process_time()
    job = start_job(folder, brief, Settings(budget=budget), Silent())
    task = task_of(job, dataset)
    plan = make_plan(job, task)
    planned, chooser = time.monotonic(), Chooser(job, plan, task, open_study(job))
    networks = 0
    for rank in range(1, budget + 1):
        proposal = chooser.choose(rank, (), ())
        if proposal is None:
            break
        assert judge(proposal.architecture, job.device, job.brief.limits).fits
        chooser.report(proposal, 90.0 + proposal.cell_index % 7)
        networks += 1
    ended = time.monotonic()
    return Row(
        plan=plan_name,
        networks=networks,
        seconds=round(ended - started, 2),
        processor_seconds=round(time.process_time() - processors, 2),
        choosing=round((ended - planned) / (ended - started), 2),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", type=int, default=BUDGET, help=f"networks to choose ({BUDGET})")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        rows = [plan_once(plan, home / plan, options.budget) for plan in ("first", "second")]
    if options.json:
        print(json.dumps([asdict(row) for row in rows]))
        return 0
    for row in rows:
        print(
            f"{row.plan:7}{row.networks:4} networks{row.seconds:7.2f} s, of the processors "
            f"{row.processor_seconds:.2f} s; {row.choosing:.0%} of it choosing"
        )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AutomcuError as problem:
        print(problem, file=sys.stderr)
        sys.exit(problem.exit_code)

"""How long the whole space takes: one skeleton cold, from the cache, and all skeletons of the grid.

    python -m benchmarks.survey [--device ID] [--runs N] [--quick] [--json]

Cold and from the cache are the wall time of the program `automcu space` as a user starts it, in a
cache folder of its own: the first run of a source tree compiles nothing but the networks. Each is
the median of N runs; CPU seconds stand beside it, since a busy machine makes the clock lie. The
grid is that of 32x32 colour images in 10 classes, 108 skeletons, judged one after the other in one
process (--quick: every ninth). `benchmarks/survey.csv` holds the rows.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from automcu.errors import AutomcuError
from automcu.mcu import find_device
from automcu.networks.cells.skeleton import skeleton_grid
from automcu.networks.cells.survey import survey

DEVICE = "stm32f407g-disc1"
RUNS = 5
_IMAGES, _CLASSES = (32, 32, 3), 10


@dataclass(frozen=True)
class Row:
    """One thing that was timed; the times are of all `skeletons` together."""

    what: str
    device: str
    skeletons: int
    cells: int
    seconds: float
    cpu_seconds: float


def timed(work: Callable[[], object], who: int) -> tuple[float, float]:
    """Wall and CPU seconds of `work`: of this process, or of the children that it waits for."""

    def cpu() -> float:
        used = resource.getrusage(who)
        return used.ru_utime + used.ru_stime

    start, start_cpu = time.perf_counter(), cpu()
    work()
    return time.perf_counter() - start, cpu() - start_cpu


def program(device: str, cache: str) -> tuple[float, float]:
    """One run of `automcu space --json`."""
    command = [sys.executable, "-m", "automcu", "space", "--device", device, "--json"]
    environment = os.environ | {"XDG_CACHE_HOME": cache}
    return timed(
        lambda: subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL),
        resource.RUSAGE_CHILDREN,
    )


def median(what: str, device: str, times: list[tuple[float, float]]) -> Row:
    """The median run."""
    wall, cpu = (statistics.median(column) for column in zip(*times, strict=True))
    return Row(what, device, 1, 15625, round(wall, 2), round(cpu, 2))


def grid(device_id: str, quick: bool) -> Row:
    """All skeletons of the grid, in this process."""
    device = find_device(device_id)
    skeletons = skeleton_grid(_IMAGES, _CLASSES)[:: 9 if quick else 1]

    def judge_all() -> None:
        for number, skeleton in enumerate(skeletons, start=1):
            survey(device, skeleton)
            print(f"\r{number}/{len(skeletons)}", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)

    wall, cpu = timed(judge_all, resource.RUSAGE_SELF)
    cells = 15625 * len(skeletons)
    return Row("the grid", device_id, len(skeletons), cells, round(wall, 1), round(cpu, 1))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default=DEVICE)
    parser.add_argument("--runs", type=int, default=RUNS, help=f"of the program ({RUNS})")
    parser.add_argument("--quick", action="store_true", help="few skeletons; writes no CSV")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cold, cached = [], []
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory() as cache:
            cold.append(program(options.device, cache))
            cached.append(program(options.device, cache))
    rows = [
        median("automcu space, cold", options.device, cold),
        median("automcu space, from the cache", options.device, cached),
        grid(options.device, options.quick),
    ]
    if not options.quick:
        found = pd.DataFrame([asdict(row) for row in rows])
        found.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    if options.json:
        print(json.dumps([asdict(row) for row in rows]))
        return 0
    for row in rows:
        print(
            f"{row.what:32}{row.skeletons:4} skeleton{'s' if row.skeletons > 1 else ' '} "
            f"{row.cells:>10,} cells {row.seconds:8.2f} s  ({row.cpu_seconds:.2f} s of CPU)"
        )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AutomcuError as problem:
        print(problem, file=sys.stderr)
        sys.exit(problem.exit_code)

"""Our modelled cycles among those that others published for real boards: MLPerf Tiny, by network.

    python -m benchmarks.published [--json]

Puts the rows of `benchmarks/mlperf_tiny.csv` (virtual boards: modelled, flash wait states included)
beside MLCommons' result logs, `mlperf_tiny_published.csv` in `$AUTOMCU_DATA` or `../shared/data`.
Runs nothing: `python -m benchmarks.mlperf_tiny` makes the former anew. No published figure is of
our code, so this shows whether the model is plausible, not how exact it is: both the kernels and
the model move the ratio.
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from automcu.errors import AutomcuError, WrongInputError
from benchmarks.mlperf_tiny import MODELS, data_folder

# Published systems with the same core: the H743 stands beside the H7A3, which is slower clocked.
_PEERS = {
    "nucleo-l4r5zi": "L4R5",
    "stm32f746g-disco": "F746",
    "nucleo-h743zi2": "H7A3",
}
_RESULTS = Path(__file__).with_name("mlperf_tiny.csv")
_MILLION = 1e6


@dataclass(frozen=True)
class Row:
    """One network on one board; cycles of ours are modelled, those of others measured."""

    device: str
    peers: str
    model: str
    published: int
    ours_million_cycles: float
    fastest_million_cycles: float
    fastest: str
    median_million_cycles: float
    slowest_million_cycles: float
    ours_to_fastest: float


def compare(ours: pd.DataFrame, published: pd.DataFrame) -> list[Row]:
    """Every network on every board that others published figures for."""
    rows = []
    for device, system in _PEERS.items():
        alike = published[published.system.str.contains(system, case=False)]
        # Float networks are no peers of int8 ones.
        alike = alike[~alike.system.str.contains("float", case=False)]
        for model in MODELS:
            found = ours[(ours.device == device) & (ours.model == model)]
            others = alike[alike[f"{model}_Mcyc"].notna()].sort_values(f"{model}_Mcyc")
            if found.empty or others.empty:
                continue
            cycles = float(found.cycles.iloc[0]) / _MILLION
            column, first = others[f"{model}_Mcyc"], others.iloc[0]
            rows.append(
                Row(
                    device=device,
                    peers=system,
                    model=model,
                    published=len(others),
                    ours_million_cycles=round(cycles, 3),
                    fastest_million_cycles=float(column.min()),
                    fastest=f"{first.org} v{first.ver}",
                    median_million_cycles=round(float(column.median()), 3),
                    slowest_million_cycles=float(column.max()),
                    ours_to_fastest=round(cycles / float(column.min()), 2),
                )
            )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    path = data_folder() / "mlperf_tiny_published.csv"
    if not path.is_file():
        raise WrongInputError(f"{path} is missing. Point AUTOMCU_DATA at a folder that holds it.")
    rows = compare(pd.read_csv(_RESULTS), pd.read_csv(path))
    if options.json:
        print(json.dumps([asdict(row) for row in rows]))
        return 0
    print("million cycles an inference; ours are modelled")
    for row in rows:
        print(
            f"{row.device:18}{row.model:4} ours {row.ours_million_cycles:7.3f}   "
            f"{row.published:2} published on {row.peers}: fastest {row.fastest_million_cycles:.3f} "
            f"({row.fastest}), median {row.median_million_cycles:.3f}, slowest "
            f"{row.slowest_million_cycles:.3f}; ours / fastest {row.ours_to_fastest:.2f}"
        )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AutomcuError as problem:
        print(problem, file=sys.stderr)
        sys.exit(problem.exit_code)

import csv
import gzip
import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def benchmark_rows() -> list[dict[str, str]]:
    """NAS-Bench-201's own figures, one row per cell in the benchmark's order."""
    folder = Path(os.environ.get("AUTOMCU_DATA", REPOSITORY.parent / "shared" / "data"))
    path = folder / "nb201_core.csv.gz"
    if not path.is_file():
        pytest.skip(f"{path} is missing; point AUTOMCU_DATA at the folder that holds it")
    with gzip.open(path, "rt", newline="") as file:
        return list(csv.DictReader(file))

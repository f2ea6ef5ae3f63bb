"""`automcu space`: stable keys, files beside the table, and what each limit rules out."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from automcu.cli.app import app
from automcu.cli.options import EMBEDDED_PRIOR
from automcu.networks.cells.accuracies import accuracy_prior
from automcu.networks.cells.cell import Cell

TINY = ("--device", "stm32f407g-disc1", "--stem", "4", "--cells", "1", "--resolution", "8")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["space", *TINY, *arguments])


def test_json_has_the_stable_keys_and_counts_add_up() -> None:
    best = json.loads(run("--json").stdout)["front"][0]["latency_ms"]
    limit = 0.9 * best  # between the fastest cells and the slowest
    result = run("--json", "--max-latency-ms", str(limit))
    document = json.loads(result.stdout)
    assert {"device", "skeleton", "cells", "feasible", "seconds", "front"} <= set(document)
    assert document["cells"] == 15625
    assert 0 < document["feasible"] < 15284
    ruled_out = document["cells"] - document["disconnected"] - document["feasible"]
    assert document["excluded"] == {"latency": ruled_out}
    assert set(document["front"][0]) >= {"index", "architecture", "prior", "latency_ms"}
    assert all(cell["latency_ms"] <= limit for cell in document["front"])


def test_files_hold_the_cells_that_fit(tmp_path: Path) -> None:
    table, picture = tmp_path / "cells.csv", tmp_path / "front.png"
    document = json.loads(run("--json", "--csv", str(table), "--plot", str(picture)).stdout)
    rows = list(csv.DictReader(table.open()))
    assert len(rows) == document["feasible"]
    assert rows[0]["index"] == str(document["front"][0]["index"])
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_parquet_has_the_same_rows(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pandas as pd

    path = tmp_path / "cells.parquet"
    document = json.loads(run("--json", "--parquet", str(path)).stdout)
    assert len(pd.read_parquet(path)) == document["feasible"]


@pytest.mark.parametrize("flag", ["--csv", "--parquet", "--plot"])
def test_a_file_that_is_there_is_not_written_over_unless_asked(flag: str, tmp_path: Path) -> None:
    mine = tmp_path / "mine.png"
    mine.write_text("years of work")
    refused = run(flag, str(mine))
    assert refused.exit_code == 2
    assert f"mine.png is there already. Name another file with {flag}" in refused.stderr
    assert mine.read_text() == "years of work"


def test_a_file_is_written_over_with_force(tmp_path: Path) -> None:
    table = tmp_path / "cells.csv"
    table.write_text("years of work")
    assert run("--csv", str(table), "--force").exit_code == 0
    assert table.read_text().startswith("index,")


def test_two_files_of_one_name_and_a_folder_are_wrong_use(tmp_path: Path) -> None:
    both = run("--csv", str(tmp_path / "a"), "--parquet", str(tmp_path / "a"))
    assert both.exit_code == 2 and "--csv and --parquet both name" in both.stderr
    folder = run("--csv", str(tmp_path))
    assert folder.exit_code == 2 and "is a folder" in folder.stderr


def test_a_picture_of_an_unknown_kind_is_wrong_use(tmp_path: Path) -> None:
    result = run("--plot", str(tmp_path / "front.bmp"))
    assert result.exit_code == 2
    assert ".png" in result.stderr


def test_the_second_call_surveys_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = json.loads(run("--json").stdout)
    assert list((cache / "automcu" / "surveys").iterdir())
    surveys: list[object] = []
    monkeypatch.setattr(
        "automcu.networks.cells.survey.survey", lambda *given: surveys.append(given)
    )
    second = json.loads(run("--json").stdout)
    assert second["front"] == first["front"]
    assert surveys == []


def test_nothing_that_fits_is_exit_code_1_with_the_limit() -> None:
    result = run("--max-latency-ms", "0.001", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["excluded"] == {"latency": 15284}


def test_a_users_own_table_ranks_and_is_named(tmp_path: Path) -> None:
    assert json.loads(run("--json").stdout)["prior"] == EMBEDDED_PRIOR == accuracy_prior().source
    best, second = Cell.from_index(11472), Cell.from_index(6111)
    table = tmp_path / "mine.csv"
    table.write_text(f"cell,accuracy\n{best},77\n{second},66\n")
    document = json.loads(run("--json", "--accuracy-table", str(table)).stdout)
    assert document["prior"] == "mine.csv"
    assert [cell["prior"] for cell in document["front"][:1]] == [77.0]
    table.write_text(f"cell,accuracy\n{best},55\n{second},66\n")
    document = json.loads(run("--json", "--accuracy-table", str(table)).stdout)
    assert document["front"][0]["index"] == 6111


def test_accuracies_that_are_not_there_are_wrong_use(tmp_path: Path) -> None:
    missing = run("--accuracy-table", str(tmp_path / "none.csv"))
    assert missing.exit_code == 2
    assert "none.csv cannot be read" in missing.stderr
    alone = run("--accuracy-dataset", "cifar100")
    assert alone.exit_code == 2
    assert "--accuracy-table" in alone.stderr
    (tmp_path / "t.csv").write_text("index,accuracy\n1,50\n")
    other = run("--accuracy-table", str(tmp_path / "t.csv"), "--accuracy-dataset", "mnist")
    assert other.exit_code == 2
    assert "ImageNet16-120" in other.stderr

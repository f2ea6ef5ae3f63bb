from pathlib import Path

import pandas as pd
import pytest

from automcu.boards.records import (
    Identity,
    LatencySpread,
    LayerCycles,
    Measurement,
    compared,
    history,
    remember,
)
from automcu.errors import WrongInputError


def measurement(milliseconds: float, second: int, accuracy: float | None = 0.9) -> Measurement:
    return Measurement(
        board="virtual",
        device="nucleo-l4r5zi",
        identity=Identity(
            protocol_version=1,
            board="nucleo-l4r5zi",
            model_hash="0123456789012345",  # only digits: it must not come back as a number
            compiler="gcc 12.2",
            clock_hz=120_000_000,
            arena_bytes=100,
            flash_bytes=200,
            input_bytes=4,
            output_bytes=4,
            layer_count=2,
        ),
        latency_ms=LatencySpread(min=milliseconds, median=milliseconds, p95=milliseconds),
        latency_source="modelled",
        cycles=1000,
        layers=(
            LayerCycles(name="a", cycles=600, estimated=590),
            LayerCycles(name="b", cycles=400, estimated=400),
        ),
        accuracy=accuracy,
        inputs=4,
        mismatches=0,
        stack_bytes=10,
        arena_bytes=100,
        date=f"2026-01-01T12:00:{second:02}+00:00",
        runs=5,
        firmware_hash="00e1000000000000",
    )


@pytest.mark.parametrize("name", ["runs.csv", "runs.parquet"])
def test_rows_are_added_and_read_back_as_they_were(tmp_path: Path, name: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    path = tmp_path / "new folder" / name
    remember(path, "digits", measurement(10.0, 1, accuracy=None))
    remember(path, "digits", measurement(12.0, 2))
    table = history(path)
    assert list(table["latency_median_ms"]) == [10.0, 12.0]
    assert list(table["model_hash"]) == ["0123456789012345"] * 2
    assert list(table["firmware_hash"]) == ["00e1000000000000"] * 2
    assert list(table["estimated_cycles"]) == [990, 990]
    assert list(table["accuracy"].isna()) == [True, False]


def test_a_run_is_compared_with_the_last_one_of_its_own_story(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    remember(path, "digits", measurement(10.0, 1))
    remember(path, "keywords", measurement(50.0, 2))
    remember(path, "digits", measurement(12.0, 3, accuracy=0.95))
    runs = compared(history(path))
    assert runs["latency_change_percent"].isna().tolist() == [True, True, False]
    assert runs["latency_change_percent"][2] == pytest.approx(20.0)
    assert runs["accuracy_change_points"][2] == pytest.approx(5.0)


def test_rows_are_compared_by_date_and_not_by_their_place(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    remember(path, "digits", measurement(12.0, 3))
    remember(path, "digits", measurement(10.0, 1))
    assert compared(history(path))["latency_median_ms"].tolist() == [10.0, 12.0]


def test_a_file_that_is_something_else_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "notes.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(WrongInputError, match="not a table of measurements"):
        remember(path, "digits", measurement(10.0, 1))
    assert path.read_text() == "a,b\n1,2\n"
    path.write_bytes(b"\xff\xfe\x00nonsense\n\x00")
    with pytest.raises(WrongInputError, match="not a table of measurements"):
        history(path)


def test_a_missing_table_and_a_wrong_name_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WrongInputError, match="Measure first"):
        history(tmp_path / "runs.csv")
    with pytest.raises(WrongInputError, match=r"\.csv or \.parquet"):
        remember(tmp_path / "runs.xlsx", "digits", measurement(10.0, 1))


def test_columns_that_a_later_version_adds_do_not_break_an_old_table(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    remember(path, "digits", measurement(10.0, 1))
    pd.read_csv(path).drop(columns=["stack_bytes"]).to_csv(path, index=False)
    remember(path, "digits", measurement(11.0, 2))
    assert history(path)["stack_bytes"].isna().tolist() == [True, False]

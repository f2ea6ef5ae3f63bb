import json
import time
from pathlib import Path

import pytest

from automcu.errors import WrongInputError
from automcu.planner.plan import Counts
from automcu.run.job import RunFolder, load_if_valid, sha256


def test_a_new_run_starts_in_an_empty_or_a_missing_folder(tmp_path: Path) -> None:
    assert RunFolder.create(tmp_path / "new").path == tmp_path / "new"
    assert RunFolder.create(tmp_path).path == tmp_path


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(WrongInputError, match="--resume"):
        RunFolder.create(tmp_path)
    with pytest.raises(WrongInputError, match="x is a file, not a folder"):
        RunFolder.create(tmp_path / "x")


def test_what_holds_no_run_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(WrongInputError, match=r"brief\.json is missing"):
        RunFolder.open(tmp_path)
    with pytest.raises(WrongInputError, match=r"There is no folder|not a folder"):
        RunFolder.open(tmp_path / "nowhere")


def test_every_decision_is_a_line_of_the_log(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.log("planned", space=10)
    folder.log("measured")
    first, second = (json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines())
    assert (first["event"], first["space"], second["event"]) == ("planned", 10, "measured")
    assert first["time"] <= second["time"]


def test_the_time_of_a_stage_adds_up_over_interruptions(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with pytest.raises(KeyboardInterrupt), folder.timed("training"):
        time.sleep(0.02)
        raise KeyboardInterrupt
    with folder.timed("training"):
        time.sleep(0.02)
    with folder.timed("building"):
        pass
    assert folder.seconds()["training"] >= 0.04
    assert list(folder.seconds()) == ["training", "building"]


def test_damaged_timing_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "seconds.json").write_text("{")
    with pytest.raises(WrongInputError, match=r"seconds\.json is damaged"):
        RunFolder(tmp_path).seconds()


def test_a_damaged_record_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "counts.json"
    assert load_if_valid(Counts, path) is None
    path.write_text('{"attempted": ')
    assert load_if_valid(Counts, path) is None
    Counts(attempted=2).save(path)
    assert load_if_valid(Counts, path) == Counts(attempted=2)


def test_a_missing_file_has_no_digest(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"")
    assert sha256(tmp_path / "x").startswith("e3b0c442")
    assert sha256(tmp_path / "y") == ""

from pathlib import Path
from types import SimpleNamespace

import pytest

from automcu.errors import WrongInputError
from automcu.records import no_such_file, scratch_folder


def test_what_lies_where_a_file_was_wanted_is_named(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert no_such_file(tmp_path, "model file") == f"{tmp_path} is a folder, not a model file."
    assert "leads nowhere" in no_such_file(tmp_path / "loop", "model file")
    assert no_such_file(Path("/dev/null"), "model file") == (
        "/dev/null is a device, not a model file."
    )
    assert no_such_file(Path("no"), "model file") == "There is no model file no."


def test_a_library_that_cannot_write_for_want_of_space_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=0))
    with (
        pytest.raises(WrongInputError, match=r"is full\). Free some space.*TMPDIR"),
        scratch_folder() as folder,
    ):
        raise RuntimeError(f"{folder}: file write failed")
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=10**9))
    with pytest.raises(RuntimeError, match="something else"), scratch_folder() as folder:
        raise RuntimeError("something else")
    assert not folder.exists()


def test_without_any_place_for_temporary_files_the_next_step_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nowhere(**_: object) -> None:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr("tempfile.TemporaryDirectory", nowhere)
    with (
        pytest.raises(WrongInputError, match=r"No usable temporary directory.*TMPDIR"),
        scratch_folder(),
    ):
        pass

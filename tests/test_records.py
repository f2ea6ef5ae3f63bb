from pathlib import Path

from automcu.records import no_such_file


def test_what_lies_where_a_file_was_wanted_is_named(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert no_such_file(tmp_path, "model file") == f"{tmp_path} is a folder, not a model file."
    assert "leads nowhere" in no_such_file(tmp_path / "loop", "model file")
    assert no_such_file(Path("/dev/null"), "model file") == (
        "/dev/null is a device, not a model file."
    )
    assert no_such_file(Path("no"), "model file") == "There is no model file no."

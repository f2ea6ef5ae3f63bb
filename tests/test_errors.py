"""What is wrong with a path or a disk is one sentence and a next step, whoever raised it."""

import errno
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from automcu.cli.app import app
from automcu.errors import WrongInputError, file_problem
from automcu.records import append_line, write_atomically

TOO_LONG = "x" * 300
COMMANDS = (
    ("build", TOO_LONG),
    ("bench", TOO_LONG),
    ("bench", TOO_LONG, "--compare"),
    ("flash", TOO_LONG, "--board", "loop://"),
    ("report", TOO_LONG),
    ("check", TOO_LONG, "--device", "f407"),
    ("compile", TOO_LONG, "--device", "f407", "--out", "project"),
    ("compile", "model.onnx", "--device", "f407", "--out", TOO_LONG),
    ("design", "digits on an STM32F407", "--out", TOO_LONG),
    ("design", "--resume", TOO_LONG),
    ("design", "--brief", TOO_LONG),
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command)[:20])
def test_a_path_that_is_too_long_is_a_sentence_for_every_command(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2
    assert "File name too long" in result.stderr
    assert "Unexpected" not in result.stderr
    assert len(result.stderr.splitlines()[-1]) < 400
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "step"),
    [
        (errno.ENOSPC, "Free some space"),
        (errno.EROFS, "Choose a folder on a file system that can be written to"),
        (errno.EACCES, "change its permissions"),
        (errno.ENAMETOOLONG, "Choose a shorter path"),
        (errno.ENOTDIR, "A part of the path is a file"),
        (errno.EIO, "Check the path"),
    ],
)
def test_each_cause_has_its_next_step(number: int, step: str) -> None:
    reported = file_problem(OSError(number, os.strerror(number), "some/file"))
    assert reported is not None
    assert reported.startswith(f"some/file cannot be used ({os.strerror(number)}). ")
    assert step in reported


def test_a_full_disk_is_seen_behind_a_library_s_error() -> None:
    hidden = RuntimeError("saving failed")
    hidden.__cause__ = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "Free some space" in str(file_problem(hidden))
    assert "Free some space" in str(file_problem(RuntimeError("database or disk is full")))
    read_only = RuntimeError("can't create x.o: Read-only file system")
    assert "can be written to" in str(file_problem(read_only, "x.o"))
    assert file_problem(RuntimeError("something else")) is None


def test_a_nul_in_a_path_is_named() -> None:
    with pytest.raises(ValueError, match="null byte") as caught:
        Path("a\0b").read_bytes()
    assert "NUL character" in str(file_problem(caught.value))


def test_records_that_cannot_be_written_are_sentences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "file").write_text("here")
    for write in (
        lambda: write_atomically(tmp_path / "file/under", b""),
        lambda: append_line(tmp_path / "file/log.jsonl", {}),
    ):
        with pytest.raises(WrongInputError, match="A part of the path is a file"):
            write()
    monkeypatch.setattr("tempfile.mkstemp", full)
    with pytest.raises(WrongInputError, match=r"No space left on device\). Free some space"):
        write_atomically(tmp_path / "record.json", b"{}")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]

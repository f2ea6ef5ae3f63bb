import signal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from automcu.cli.app import app
from automcu.errors import ToolError

SENTENCE = (
    "Recognise hand-written digits on an STM32F407 discovery board, under 20 ms and 64 KB of RAM"
)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ("design", *arguments))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Replace the run by one that only writes down how it was called."""
    made: list[dict[str, Any]] = []

    def design(brief: object, path: Path, settings: object, **more: object) -> None:
        made.append({"brief": brief, "path": path, "settings": settings, **more})
        raise ToolError("This is as far as the test goes. Stop.")

    monkeypatch.setattr("automcu.run.design.design", design)
    return made


def test_what_was_understood_is_printed_first(calls: list[dict[str, Any]]) -> None:
    result = run(SENTENCE)
    assert result.exit_code == 3
    assert result.stderr.index("at most 20 ms") < result.stderr.index("This is as far")
    assert result.stdout == ""
    brief = calls[0]["brief"]
    assert (brief.device, brief.dataset) == ("stm32f407g-disc1", "digits")
    assert (brief.max_latency_ms, brief.max_ram_bytes) == (20.0, 65536)
    assert calls[0]["settings"] is None


def test_flags_are_stronger_than_a_file_and_a_file_than_the_sentence(
    calls: list[dict[str, Any]], tmp_path: Path
) -> None:
    file = tmp_path / "brief.toml"
    file.write_text('device = "nucleo-l4r5zi"\nmax_latency_ms = 10\nmax_flash = "100 KB"\n')
    run(SENTENCE, "--brief", str(file), "--max-latency-ms", "5", "--min-accuracy", "97%")
    brief = calls[0]["brief"]
    assert brief.device == "nucleo-l4r5zi"
    assert brief.max_latency_ms == 5.0
    assert brief.max_ram_bytes == 65536
    assert brief.max_flash_bytes == 102400
    assert brief.min_accuracy == pytest.approx(0.97)


def test_the_prose_of_a_file_is_read_like_a_sentence(
    calls: list[dict[str, Any]], tmp_path: Path
) -> None:
    file = tmp_path / "brief.toml"
    file.write_text('text = "digits on the F746 disco in 3 ms"\n')
    run("--brief", str(file))
    assert calls[0]["brief"].device == "stm32f746g-disco"
    assert calls[0]["brief"].max_latency_ms == 3.0


def test_settings_are_passed_on(calls: list[dict[str, Any]], tmp_path: Path) -> None:
    run(SENTENCE, "--budget", "2", "--seed", "7", "--out", str(tmp_path / "x"))
    assert calls[0]["settings"].budget == 2
    assert calls[0]["settings"].seed == 7
    assert calls[0]["path"] == tmp_path / "x"


def test_a_missing_board_is_asked_for_and_nothing_is_guessed(
    calls: list[dict[str, Any]],
) -> None:
    result = run("recognise digits in 20 ms")
    assert result.exit_code == 2
    assert "Which board" in result.stderr
    assert calls == []


def test_an_unknown_board_brings_the_nearest(calls: list[dict[str, Any]]) -> None:
    result = run("digits on a NUCLEO-L4R9ZI")
    assert result.exit_code == 2
    assert "nucleo-l4r5zi" in result.stderr
    assert calls == []


def test_an_unknown_device_flag_brings_the_nearest(calls: list[dict[str, Any]]) -> None:
    result = run("digits", "--device", "stm32f408")
    assert result.exit_code == 2
    assert "stm32f407" in result.stderr


def test_resume_takes_the_folder_either_way(calls: list[dict[str, Any]], tmp_path: Path) -> None:
    run("--resume", str(tmp_path))
    run("--resume", "--out", str(tmp_path))
    for call in calls:
        assert (call["brief"], call["path"], call["resume"]) == (None, tmp_path, True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_stopped_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: signal.Signals
) -> None:
    folder = tmp_path / "my run"

    def stopped(*_: object, **__: object) -> None:
        folder.mkdir()
        (folder / "brief.json").write_text("{}")
        signal.raise_signal(number)

    monkeypatch.setattr("automcu.run.design.design", stopped)
    result = run(SENTENCE, "--out", str(folder))
    assert result.exit_code == 128 + number
    assert f"automcu design --resume '{folder}'" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_before_it_began_promises_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: signal.Signals
) -> None:
    def stopped(*_: object, **__: object) -> None:
        (tmp_path / "r").mkdir()  # as an agent's transcript does before the brief is there
        signal.raise_signal(number)

    monkeypatch.setattr("automcu.run.design.design", stopped)
    result = run(SENTENCE, "--out", str(tmp_path / "r"))
    assert result.exit_code == 128 + number
    assert "had not begun" in result.stderr
    assert "kept" not in result.stderr


def test_a_folder_without_a_run_cannot_be_resumed(tmp_path: Path) -> None:
    result = run("--resume", "--out", str(tmp_path))
    assert result.exit_code == 2
    assert "brief.json is missing" in result.stderr


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    result = run(SENTENCE, "--out", str(tmp_path))
    assert result.exit_code == 2
    assert "already holds something" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_weights_that_no_training_has_are_refused(tmp_path: Path) -> None:
    result = run(SENTENCE, "--weights", "4", "--out", str(tmp_path / "run"))
    assert result.exit_code == 2 and "automcu compile --weights" in result.stderr


def test_an_unfinished_run_has_no_report_yet(tmp_path: Path) -> None:
    (tmp_path / "brief.json").write_text("{}")
    result = CliRunner().invoke(app, ("report", str(tmp_path)))
    assert result.exit_code == 2
    assert "run.json is missing" in result.stderr


@pytest.mark.parametrize("command", ["build", "bench"])
def test_a_folder_without_a_project_is_named(command: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, (command, str(tmp_path)))
    assert result.exit_code == 2
    assert "project.json is missing" in result.stderr

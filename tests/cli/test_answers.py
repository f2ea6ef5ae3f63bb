import json
import os
import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner, Result

from automcu.cli.app import app

HEAVY = ("torch", "onnxruntime", "matplotlib", "sklearn", "pydantic", "numpy", "unicorn")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_help_starts_without_any_heavy_module() -> None:
    program = f"import sys, automcu.cli; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_every_command_of_the_first_version_is_there_and_takes_json() -> None:
    listing = run("--help").stdout
    for command in (
        "design",
        "devices",
        "space",
        "check",
        "compile",
        "build",
        "bench",
        "report",
        "doctor",
    ):
        assert command in listing
        assert "--json" in run(command, "--help").stdout


def test_the_version_is_the_packages() -> None:
    from automcu import __version__

    assert run("--version").stdout.strip() == f"automcu {__version__}"


def test_devices_lists_the_boards_as_a_table_and_as_json() -> None:
    assert "stm32f407g-disc1" in run("devices").stdout
    document = json.loads(run("devices", "--json").stdout)
    ids = {device["id"] for device in document["devices"]}
    assert {"stm32f407g-disc1", "stm32f746g-disco", "nucleo-l4r5zi", "esp32-s3-devkitc-1"} <= ids


def test_one_device_is_shown_in_full() -> None:
    result = run("devices", "nucleo-l4r5zi")
    assert result.exit_code == 0
    assert "STM32L4R5ZI" in result.stdout
    document = json.loads(run("devices", "nucleo-l4r5zi", "--json").stdout)
    assert document["id"] == "nucleo-l4r5zi"
    assert document["memory"]


def test_an_unknown_device_brings_the_nearest_names_and_exit_code_2() -> None:
    result = run("devices", "stm32f408g-disc1")
    assert result.exit_code == 2
    assert "stm32f407g-disc1" in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_an_error_with_json_is_one_document_on_stdout() -> None:
    result = run("devices", "toaster", "--json")
    document = json.loads(result.stdout)
    assert document["exit_code"] == result.exit_code == 2
    assert document["error"] in result.stderr


def test_wrong_use_of_an_option_is_exit_code_2() -> None:
    assert run("check", "11472").exit_code == 2
    assert run("design", "--budget", "0").exit_code == 2
    assert run("cook").exit_code == 2


def test_a_surprise_is_one_sentence_unless_debugging(monkeypatch: pytest.MonkeyPatch) -> None:
    def surprise() -> None:
        raise ZeroDivisionError("one by nothing")

    monkeypatch.setattr("automcu.cli.devices.all_devices", surprise)
    result = run("devices")
    assert result.exit_code == 3
    assert "Unexpected ZeroDivisionError: one by nothing" in result.stderr
    assert "Traceback" not in result.stderr
    assert "Traceback" in run("devices", "--debug").stderr


def test_a_healthy_installation_has_nothing_to_complain_about() -> None:
    result = run("doctor", "--json")
    document = json.loads(result.stdout)
    assert document["healthy"] is (result.exit_code == 0)
    names = {check["name"] for check in document["checks"]}
    assert {"Python", "compiler for Cortex-M", "boards", "accuracy table"} <= names
    assert all(check["ok"] for check in document["checks"] if check["name"] != "virtual board")


def test_a_missing_compiler_is_named_by_the_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    from automcu.errors import ToolError

    def nothing(core: str) -> None:
        raise ToolError("There is no C compiler. Install one with: pip install ziglang.")

    monkeypatch.setattr("automcu.cli.doctor.find_compiler", nothing)
    result = run("doctor")
    assert result.exit_code == 3
    assert "pip install ziglang" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_program_is_imported_ends_it_with_one_line(
    number: signal.Signals,
) -> None:
    program = f"""
import signal, sys, types
import automcu.__main__ as program

class SlowModule(types.ModuleType):
    def __getattr__(self, name):
        signal.raise_signal({int(number)})

sys.modules["automcu.cli"] = SlowModule("automcu.cli")
program.main()
"""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (ended.returncode, ended.stderr) == (128 + number, "Stopped.\n")

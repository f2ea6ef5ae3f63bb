"""What files, servers and users write is printed as text, wherever they may write."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.testing import CliRunner, Result

from automcu.cli.answer import plain_console, print_json, print_text
from automcu.cli.app import app
from automcu.cli.progress import TerminalProgress

HOSTILE = "x\x1b[2J\x1b]0;owned\x07[/red][bold]\u202e\u200b\x9b31m:smile:$\\frac$"
UNSEEN = set("\x1b\x07\x9b\u202e\u200b\r\x00")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def _is_plain(result: Result) -> None:
    assert not UNSEEN & set(result.stdout + result.stderr)
    assert "Traceback" not in result.stderr and "Unexpected" not in result.stderr
    assert isinstance(result.exception, SystemExit) or result.exception is None


def _hostile_model(path: Path) -> None:
    one = helper.make_tensor_value_info("a", TensorProto.FLOAT, [1, 4])
    other = helper.make_tensor_value_info("b", TensorProto.FLOAT, [1, 4])
    node = helper.make_node("Det", ["a"], ["b"], name=HOSTILE)
    onnx.save(helper.make_model(helper.make_graph([node], HOSTILE, [one], [other])), path)


COMMANDS = {
    "check a model's name": ["check", HOSTILE, "-d", "f407"],
    "check a device": ["check", "11472", "-d", HOSTILE],
    "check a limit": ["check", "11472", "-d", "f407", "--max-ram", HOSTILE],
    "check a hostile file": ["check", "{model}", "-d", "f407"],
    "compile a hostile file": ["compile", "{model}", "-d", "f407", "--out", "{folder}"],
    "compile with weights": ["compile", "{model}", "-d", "f407", "--weights", HOSTILE],
    "build": ["build", HOSTILE],
    "bench": ["bench", HOSTILE],
    "flash": ["flash", HOSTILE, "--board", HOSTILE],
    "report": ["report", HOSTILE],
    "studies of a folder": ["studies", HOSTILE],
    "studies of a URL": ["studies", f"nosuch://{HOSTILE}"],
    "devices": ["devices", HOSTILE],
    "a new device": ["devices", "new", HOSTILE],
    "space": ["space", "-d", HOSTILE],
    "space with weights": ["space", "-d", "f407", "--weights", HOSTILE],
    "a running board": ["board", "run", HOSTILE],
    "calibrate": ["calibrate", "-d", HOSTILE, "--board", HOSTILE],
    "a brief's sentence": ["design", f"{HOSTILE} in under 20 ms on {HOSTILE}"],
    "a brief's file": ["design", "--brief", HOSTILE],
    "data": ["design", "digits on an STM32F407", "--data", HOSTILE, "--out", "{folder}"],
    "a planner": ["design", "digits on an STM32F407", "--planner", HOSTILE],
    "no command": [HOSTILE],
    "no option": ["check", f"--{HOSTILE}"],
    "too many words": ["devices", "a", HOSTILE],
    "no number": ["space", "-d", "f407", "--stem", HOSTILE],
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("as_json", [False, True])
def test_no_command_prints_an_escape_or_believes_in_markup(
    name: str, as_json: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _hostile_model(tmp_path / "hostile.onnx")
    places = {"{model}": str(tmp_path / "hostile.onnx"), "{folder}": str(tmp_path / "out")}
    words = [places.get(word, word) for word in COMMANDS[name]]
    result = run(*words, *(["--json"] if as_json else []))
    _is_plain(result)
    assert result.exit_code in (1, 2, 3)
    if as_json:
        assert json.loads(result.stdout)["exit_code"] == result.exit_code


def test_a_folder_may_have_any_name(
    write_quantised: Callable[[Path], Path], tmp_path: Path
) -> None:
    model = write_quantised(tmp_path / "model.onnx")
    out = tmp_path / HOSTILE
    result = run("compile", str(model), "-d", "f407", "--out", str(out))
    _is_plain(result)
    assert result.exit_code == 0
    source = (out / "model/model.c").read_text("utf-8")
    assert "owned" in source and not UNSEEN & set(source) and "#error\n" not in source
    document = json.loads(run("build", str(out), "--no-verify", "--json").stdout)
    assert document["project"] == str(out)


@pytest.fixture
def write_quantised() -> Callable[[Path], Path]:
    """Return a function that writes a quantised model whose layer has a hostile name."""

    def write(path: Path) -> Path:
        name = f"*/ #error /* {HOSTILE}\n#error"
        scale = helper.make_tensor("scale", TensorProto.FLOAT, [], [0.1])
        zero = helper.make_tensor("zero", TensorProto.INT8, [], [0])
        nodes = [
            helper.make_node("QuantizeLinear", ["a", "scale", "zero"], ["qa"]),
            helper.make_node("DequantizeLinear", ["qa", "scale", "zero"], ["da"]),
            helper.make_node("Relu", ["da"], ["r"], name=name),
            helper.make_node("QuantizeLinear", ["r", "scale", "zero"], ["qr"], name=name),
            helper.make_node("DequantizeLinear", ["qr", "scale", "zero"], ["b"]),
        ]
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2, 4, 4]) for name in "ab"
        ]
        graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [scale, zero])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        onnx.save(model, path)
        return path

    return write


def test_tables_texts_and_progress_show_names_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = Table(HOSTILE, title=HOSTILE)
    table.add_row(HOSTILE)
    for shown in (HOSTILE, table, Text(HOSTILE, style="bold")):
        plain_console().print(shown)
    print_text(HOSTILE, error=True)
    with TerminalProgress() as progress:
        progress.begin(HOSTILE)
        progress.update(0.5, HOSTILE)
        progress.notify(HOSTILE)
    printed = capsys.readouterr()
    assert not UNSEEN & set(printed.out + printed.err)
    assert "[/red]" in printed.out and ":smile:" in printed.out and "\\x1b" in printed.err


def test_a_terminal_gets_escapes_of_the_projects_own_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    console = plain_console()
    assert isinstance(console, Console)
    console.print(Text("ok", style="green"), HOSTILE)
    printed = capsys.readouterr().out
    assert "\x1b[32mok" in printed
    assert "\x1b[2J" not in printed and "\x1b]0" not in printed


def test_json_holds_the_true_text_and_null_where_there_is_no_number(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_json({"name": HOSTILE + "\udcff", "values": [1.0, float("nan"), float("inf"), np.pi]})
    printed = capsys.readouterr().out
    assert not UNSEEN & set(printed)
    found = json.loads(printed)
    assert found == {"name": HOSTILE + "\udcff", "values": [1.0, None, None, np.pi]}


def test_a_terminal_that_cannot_show_a_letter_gets_it_written_out(tmp_path: Path) -> None:
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "automcu", "devices", "größe→"],
        capture_output=True,
        env={"PYTHONIOENCODING": "ascii", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
        | {"PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
    )
    assert done.returncode == 2
    assert b"gr\\xf6\\xdfe\\u2192" in done.stderr

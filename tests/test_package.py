"""The wheel is complete: it runs the main job in an empty environment, far from the repository."""

import ast
import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SENTENCE = (
    "Recognise hand-written digits on an STM32F407 discovery board, under 20 ms and 64 KB of RAM"
)
# Import names that differ from what PyPI calls the package.
DISTRIBUTIONS = {
    "elftools": "pyelftools",
    "flatbuffers": "tflite",  # which needs it
    "google": "onnx",  # protobuf comes with onnx
    "httpx": "openai",  # is built on it, or in newer versions on the next
    "httpx2": "openai",
    "markupsafe": "jinja2",  # which needs it
    "PIL": "pillow",
    "serial": "pyserial",
    "sklearn": "scikit-learn",
    "tensorflow": "tensorflow",
}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q"]
    subprocess.run([*command, "-w", str(folder), str(ROOT)], check=True)
    return next(folder.glob("automcu-*.whl"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bin folder of an environment that holds the wheel.

    The dependencies, gigabytes of them, are borrowed from this environment by a path entry. Such
    an entry comes after the new environment's own packages, and .pth files in it are not read, so
    neither the checkout nor an editable installation can lend anything to the wheel.
    """
    home = tmp_path_factory.mktemp("elsewhere") / "venv"
    venv.create(home, with_pip=True)
    python = home / "bin/python"
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", str(wheel)], check=True)
    lent = next(home.glob("lib/python*/site-packages")) / "lent.pth"
    lent.write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin"


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def test_the_wheel_brings_profiles_firmware_and_kernels(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for source in (
        "hw_profiles/*.toml",
        "hw_profiles/fitted/*.json",
        "firmware/templates/*",
        "firmware/runtime/*",
        "firmware/ports/*/*",
    ):
        for path in filter(Path.is_file, ROOT.glob(source)):
            assert f"automcu/_shipped/{path.relative_to(ROOT).as_posix()}" in names
    for kind in ("*.j2", "*.h"):
        for path in (ROOT / "automcu/compiler").rglob(kind):
            assert path.relative_to(ROOT).as_posix() in names
    assert "automcu/compiler/ops/add.c.j2" in names
    assert "automcu/report/report.html.jinja" in names
    assert "automcu/py.typed" in names


def test_everything_that_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [
        one
        for extra, needed in project["optional-dependencies"].items()
        if extra != "dev"  # what a user cannot be without may not be a developer's only
        for one in needed
    ]
    declared = {
        re.split(r"[<>=\[ ]", one)[0].lower() for one in (*project["dependencies"], *extras)
    }
    for path in sorted((ROOT / "automcu").rglob("*.py")):
        for name in _imports(path):
            distribution = DISTRIBUTIONS.get(name, name.replace("_", "-"))
            assert distribution.lower() in declared, f"{path} imports {name}"


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"automcu"}


def test_the_installed_package_is_the_wheels(installed: Path, tmp_path: Path) -> None:
    program = "import automcu, automcu.records as r; print(r.resource_folder('firmware'))"
    shown = subprocess.run(
        [installed / "python", "-c", program],
        cwd=tmp_path,
        env=_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(shown.stdout.strip()).is_relative_to(installed.parent)


def test_the_wheel_runs_the_main_job_in_an_empty_environment(
    installed: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [
            *(installed / "automcu", "design", SENTENCE, "--out", "digits", "--json"),
            *("--budget", "1", "--training-time", "30"),
        ],
        cwd=tmp_path,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=570,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["fits"] is True
    assert document["board_mismatches"] == 0
    assert document["board_inputs"] > 300
    assert document["accuracy"]["board"] > 0.9
    assert document["ram_bytes"] <= 65536
    assert (tmp_path / "digits/report.html").stat().st_size > 20_000
    assert (tmp_path / "digits/project/model/model.c").is_file()


def test_the_installed_script_finds_the_boards(installed: Path, tmp_path: Path) -> None:
    shown = subprocess.run(
        [installed / "automcu", "devices", "--json"],
        cwd=tmp_path,
        env=_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "stm32f407g-disc1" in {one["id"] for one in json.loads(shown.stdout)["devices"]}

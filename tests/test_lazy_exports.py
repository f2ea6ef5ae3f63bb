"""Packages that import their modules when a name is used: fast where little of them is."""

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = ("mcu", "toolchains")
FROM_CACHE = """
import sys
from automcu.cli.app import app
try:
    app(["space", "--device", "stm32f407g-disc1", "--stem", "4", "--cells", "1",
         "--resolution", "8"])
except SystemExit as end:
    print(end.code)
print(sorted({"numpy", "scipy", "onnx", "matplotlib", "automcu.compiler"} & set(sys.modules)))
"""


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_is_there_and_none_is_hidden_by_a_module(name: str) -> None:
    package = importlib.import_module(f"automcu.{name}")
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert not modules & set(package.__all__)
    for exported in package.__all__:
        assert getattr(package, exported) is not None


@pytest.mark.parametrize("name", PACKAGES)
def test_a_name_that_is_not_there_is_an_attribute_error(name: str) -> None:
    package = importlib.import_module(f"automcu.{name}")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing


def test_a_survey_from_the_cache_imports_nothing_that_computes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    answers = [
        subprocess.run(
            [sys.executable, "-c", FROM_CACHE], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        for _ in range(2)
    ]
    assert "automcu.compiler" in answers[0][-1]
    assert answers[1][-2:] == ["0", "[]"]

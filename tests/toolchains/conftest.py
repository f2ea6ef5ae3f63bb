from pathlib import Path

import pytest

from automcu.errors import ToolError
from automcu.mcu import Device, find_device
from automcu.toolchains import Compiler, find_compiler


@pytest.fixture(scope="session")
def f407() -> Device:
    return find_device("stm32f407g-disc1")


@pytest.fixture(params=["gcc", "zig"])
def compiler(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Compiler:
    """Each of the two compilers for a Cortex-M4, where it is installed."""
    monkeypatch.setenv("AUTOMCU_COMPILER", request.param)
    try:
        return find_compiler("cortex-m4")
    except ToolError as error:
        pytest.skip(str(error))


@pytest.fixture
def tiny_project(tmp_path: Path, write_tiny_project: object, f407: Device) -> Path:
    return write_tiny_project(tmp_path / "project", f407)  # type: ignore[operator]

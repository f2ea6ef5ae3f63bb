"""What tests of several stages share."""

import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

from automcu.devices import Device


@pytest.fixture(scope="session")
def write_tiny_project() -> Callable[[Path, Device], Path]:
    """The function of firmware/tiny_project.py: a folder and a device to a project, unbuilt."""
    script = Path(__file__).parent / "firmware/tiny_project.py"
    return runpy.run_path(str(script))["write_tiny_project"]

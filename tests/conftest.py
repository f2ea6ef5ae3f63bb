"""What tests of several stages share."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from automcu.mcu import Device

if TYPE_CHECKING:
    from tests.quantised_networks import QuantisedNetwork


@pytest.fixture(scope="session")
def write_tiny_project() -> Callable[[Path, Device], Path]:
    """The function of firmware/tiny_project.py: a folder and a device to a project, unbuilt."""
    script = Path(__file__).parent / "firmware/tiny_project.py"
    return runpy.run_path(str(script))["write_tiny_project"]


@pytest.fixture(scope="session")
def quantised_networks(tmp_path_factory: pytest.TempPathFactory) -> "list[QuantisedNetwork]":
    """Fifty networks of the space as real quantised files."""
    import torch  # slow to import, and most tests do without

    from tests.quantised_networks import random_networks

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small networks on several threads mostly wait
    networks = random_networks(50, tmp_path_factory.mktemp("quantised"))
    torch.set_num_threads(threads)
    return networks

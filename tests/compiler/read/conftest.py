"""What the tests of damaged files share, whatever the format."""

import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from automcu.compiler import compile_graph
from automcu.compiler.graph import Graph
from automcu.errors import AutomcuError
from automcu.mcu import Device

MOST_MEMORY = 1 << 30  # beyond what the process has already


@pytest.fixture
def survives(
    tmp_path: Path, portable_device: Device, importer: Callable[[Path], Graph]
) -> Iterator[Callable[[bytes], bool]]:
    """Whether a file compiles; only errors meant for users may say that it does not.

    Test modules name the `importer`.
    """
    path = tmp_path / "model"
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + MOST_MEMORY, before[1]))

    def attempt(content: bytes) -> bool:
        path.write_bytes(content)
        try:
            program = compile_graph(importer(path), portable_device)
            for operator in program.graph.operators:
                operator.lower(program.graph)
        except AutomcuError as error:
            assert str(error).rstrip().endswith((".", ")", "?")), error
            return False
        return True

    yield attempt
    resource.setrlimit(resource.RLIMIT_AS, before)

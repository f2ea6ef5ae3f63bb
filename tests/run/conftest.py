"""One finished run for all tests that look at one; tests that change it work on a copy."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from automcu.brief import Brief
from automcu.run.design import design
from automcu.run.records import Run, Settings

SENTENCE = (
    "Recognise hand-written digits on an STM32F407 discovery board, under 20 ms and 64 KB of RAM"
)


@pytest.fixture(scope="session")
def brief() -> Brief:
    return Brief(
        text=SENTENCE,
        device="stm32f407g-disc1",
        dataset="digits",
        max_latency_ms=20.0,
        max_ram_bytes=65536,
    )


@pytest.fixture(scope="session")
def finished_folder(brief: Brief, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "digits"
    design(brief, path, Settings(budget=2, training_seconds=30.0))
    return path


@pytest.fixture(scope="session")
def finished(finished_folder: Path) -> Run:
    return Run.load(finished_folder / "run.json")


@pytest.fixture
def copy_of_run(finished_folder: Path, tmp_path: Path) -> Callable[[], Path]:
    """Return a function that copies the finished run to a folder of the test's own."""

    def copy() -> Path:
        return Path(shutil.copytree(finished_folder, tmp_path / "copy"))

    return copy

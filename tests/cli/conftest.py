"""What tests of the commands share."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from automcu.compiler import Project
from automcu.compiler.project import LayerInfo, TensorInfo
from automcu.mcu import Device, find_device
from automcu.toolchains import build_project

DEVICE = "nucleo-l4r5zi"


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry of its own: what else runs on this machine is none of these tests' business."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def tiny_project(
    write_tiny_project: Callable[[Path, Device], Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    device = find_device(DEVICE)
    folder = write_tiny_project(tmp_path_factory.mktemp("tiny") / "digits", device)
    build_project(folder, device)
    bytes_of = TensorInfo(shape=(8, 8, 1), scale=1.0, zero_point=0)
    Project(
        device=DEVICE,
        model_hash="0123456789abcdef",
        input=bytes_of,
        output=bytes_of,
        class_names=(),
        layers=tuple(
            LayerInfo(
                name=name,
                op="add",
                variant="portable",
                function="add",
                macs=64,
                weight_bytes=64,
                output_shape=(8, 8, 1),
            )
            for name in ("add bias", "copy")
        ),
        weight_bytes=0,
        arena_bytes=192,
        arena_lower_bound=192,
        arena=(),
    ).save(folder / "project.json")
    inputs = np.random.default_rng(0).integers(-128, 128, (12, 8, 8, 1)).astype(np.int8)
    outputs = (inputs.reshape(12, 64) + 1).astype(np.int8)
    np.savez(folder / "golden.npz", inputs=inputs, outputs=outputs)
    return folder

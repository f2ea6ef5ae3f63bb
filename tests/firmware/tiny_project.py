"""The tiny model as a project: `python tests/firmware/tiny_project.py DEVICE FOLDER` builds it."""

import shutil
import sys
from pathlib import Path

from automcu.mcu import Device, find_device
from automcu.toolchains import build_project, write_firmware

_MODEL = Path(__file__).parent / "tiny_model"


def write_tiny_project(folder: Path, device: Device) -> Path:
    """Write a project whose model adds one to each of 64 input bytes; returns `folder`."""
    shutil.copytree(_MODEL, folder / "model")
    write_firmware(folder, device)
    return folder


if __name__ == "__main__":
    chosen = find_device(sys.argv[1])
    project = write_tiny_project(Path(sys.argv[2]), chosen)
    print(build_project(project, chosen).model_dump_json(indent=2))

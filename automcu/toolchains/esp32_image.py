"""An ELF file to an image that the ESP32-S3's mask ROM loads, by Espressif's esptool."""

import importlib.util
import sys
import tempfile
from pathlib import Path

from automcu.errors import ToolError
from automcu.toolchains.process import ToolFailedError, run_tool


def esp32_image(elf: Path) -> bytes:
    """Return the image; esptool is run as a program of its own (it is GPL, this is not).

    Raises:
        ToolError: esptool is not installed, or refuses the file.
    """
    if importlib.util.find_spec("esptool") is None:
        raise ToolError(
            "ESP32 images need esptool, which is not installed. pip install 'automcu[esp32]'"
        )
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "firmware.bin"
        command = [
            *(sys.executable, "-m", "esptool", "--chip", "esp32s3", "elf2image"),
            *("--output", str(image), str(elf.absolute())),
        ]
        try:
            run_tool(command, elf.parent)
        except ToolFailedError as failure:
            raise ToolError(
                f"esptool makes no image of {elf.name}: {failure}. "
                "Generate the project again; if it stays, report the model as a bug."
            ) from failure
        return image.read_bytes()

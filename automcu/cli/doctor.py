"""`automcu doctor`: whether everything that a run needs is there."""

import platform
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from importlib.util import find_spec

from rich.table import Table
from rich.text import Text

from automcu.cli.answer import Answer, Debug, Json, respond
from automcu.errors import EXIT_DONE, EXIT_TOOL_OR_BOARD, ToolError
from automcu.mcu import all_devices
from automcu.networks.cells.accuracies import accuracy_prior
from automcu.toolchains import find_compiler

_OLDEST_PYTHON = (3, 11)
_PACKAGES = ("torch", "onnx", "onnxruntime", "sklearn", "unicorn", "capstone", "serial")


def doctor(json: Json = False, debug: Debug = False) -> None:
    """Check the installation: Python, packages, compilers, boards, and what to do about a gap."""
    respond(_doctor, json, debug)


def _doctor() -> Answer:
    findings = list(_examine())
    table = Table(show_header=False, box=None)
    for _ in range(3):
        table.add_column()
    for name, well, text in findings:
        state = Text("ok", style="green") if well else Text("missing", style="red")
        table.add_row(state, name, text)
    healthy = all(well for _, well, _ in findings)
    document = {
        "healthy": healthy,
        "checks": [{"name": name, "ok": well, "detail": text} for name, well, text in findings],
    }
    if healthy:
        return Answer(document, table, EXIT_DONE)
    first = next(text for _, well, text in findings if not well)
    return Answer(document, table, EXIT_TOOL_OR_BOARD, f"Something is missing. {first}")


def _examine() -> Iterator[tuple[str, bool, str]]:
    yield "Python", sys.version_info >= _OLDEST_PYTHON, platform.python_version()
    for package in _PACKAGES:
        yield _try(f"package {package}", partial(_version_of, package))
    for name, check in (
        ("compiler for Cortex-M", _arm_compiler),
        ("boards", _boards),
        ("accuracy table", _accuracy_table),
        ("virtual board", _virtual_core),
    ):
        yield _try(name, check)
    yield "TFLite models (optional)", True, _tensorflow()
    yield "SWD probes (optional)", True, _optional("pyocd", "pip install automcu[swd]")
    yield "ESP32 boards (optional)", True, _optional("esptool", "pip install automcu[esp32]")
    yield "compiler for ESP32-S3 (optional)", True, _xtensa_compiler()


def _try(name: str, check: Callable[[], str]) -> tuple[str, bool, str]:
    try:
        return name, True, check()
    except Exception as error:  # whatever is broken, the doctor goes on to the next check
        return name, False, str(error)


def _version_of(package: str) -> str:
    try:
        module = import_module(package)
    except ImportError as error:
        raise RuntimeError(f"{error}. Install automcu again with pip.") from error
    return str(getattr(module, "__version__", "found"))


def _arm_compiler() -> str:
    return str(find_compiler("cortex-m4"))


def _boards() -> str:
    return ", ".join(all_devices())


def _accuracy_table() -> str:
    table = accuracy_prior()
    return f"{table.source}, {len(table):,} cells"


def _virtual_core() -> str:
    from unicorn import UC_ARCH_ARM, UC_MODE_MCLASS, UC_MODE_THUMB, Uc

    Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
    return "Unicorn emulates Cortex-M"


def _optional(package: str, how: str) -> str:
    return f"{package} is installed" if find_spec(package) else f"not installed; {how}"


def _xtensa_compiler() -> str:
    try:
        return str(find_compiler("xtensa-lx7"))
    except ToolError:
        return "not installed; Debian and Ubuntu: apt-get install gcc-xtensa-lx106"


def _tensorflow() -> str:
    if find_spec("tensorflow"):
        return "tensorflow is installed"
    return "not installed; pip install automcu[tflite] adds keras.datasets and TFLite models"

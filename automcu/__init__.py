"""From one sentence to a network that fits a microcontroller, its firmware, and its latency.

What the command line does, as functions: `design` a network from a sentence, `check` whether a
model fits a board, `compile` it to C, `build`, `flash` and `bench` the firmware. Sizes are in
bytes, latencies in milliseconds, energies in millijoule, accuracies are fractions. What cannot be
done raises an `AutomcuError`, whose message ends in the next step.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from automcu.errors import (
    AutomcuError,
    BoardError,
    DoesNotFitError,
    FirmwareDiffersError,
    NoFiguresError,
    ToolError,
    UnsupportedModelError,
    WrongInputError,
)

if TYPE_CHECKING:
    from automcu.brief import Brief, Limits
    from automcu.mcu.find import find_device
    from automcu.mcu.profile import Device
    from automcu.run.design import design
    from automcu.run.records import Run, Settings
    from automcu.toolchains import Build
    from automcu.user_model.firmware import BenchResult, FlashResult, bench, build, flash
    from automcu.user_model.model import CheckResult, CompileResult, check, compile

__version__ = "0.1.0"

__all__ = [
    "AutomcuError",
    "BenchResult",
    "BoardError",
    "Brief",
    "Build",
    "CheckResult",
    "CompileResult",
    "Device",
    "DoesNotFitError",
    "FirmwareDiffersError",
    "FlashResult",
    "Limits",
    "NoFiguresError",
    "Run",
    "Settings",
    "ToolError",
    "UnsupportedModelError",
    "WrongInputError",
    "bench",
    "build",
    "check",
    "compile",
    "design",
    "find_device",
    "flash",
]

# Imported when they are first used: `design` needs torch, the others do not (PEP 562).
_MODULES = {
    "Brief": "automcu.brief",
    "Limits": "automcu.brief",
    "Device": "automcu.mcu.profile",
    "find_device": "automcu.mcu.find",
    "check": "automcu.user_model.model",
    "CheckResult": "automcu.user_model.model",
    "compile": "automcu.user_model.model",
    "CompileResult": "automcu.user_model.model",
    "bench": "automcu.user_model.firmware",
    "BenchResult": "automcu.user_model.firmware",
    "build": "automcu.user_model.firmware",
    "Build": "automcu.toolchains",
    "flash": "automcu.user_model.firmware",
    "FlashResult": "automcu.user_model.firmware",
    "design": "automcu.run.design",
    "Run": "automcu.run.records",
    "Settings": "automcu.run.records",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

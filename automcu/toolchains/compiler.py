"""Finding a compiler for a core, and the flags that every build uses."""

import os
import shutil
from functools import cache
from pathlib import Path
from typing import Literal

from automcu.errors import ToolError, WrongInputError
from automcu.mcu.profile import Core
from automcu.records import Record
from automcu.toolchains.process import first_line_of
from automcu.toolchains.zig import zig_command, zig_environment, zig_version

CompilerKind = Literal["gcc", "zig"]

_CHOICE_VARIABLE = "AUTOMCU_COMPILER"
_GCC = "arm-none-eabi-gcc"

# For the ESP32-S3's LX7: Espressif's compiler, or Debian's for the LX106, whose call0 code is a
# subset of what an LX7 runs. The name of the program says which flags it needs.
_XTENSA_FLAGS = {
    "xtensa-esp32s3-elf-gcc": ("-mabi=call0", "-mlongcalls", "-mtext-section-literals"),
    "xtensa-lx106-elf-gcc": ("-mlongcalls", "-mtext-section-literals"),
}

_ARM_CORES: tuple[Core, ...] = ("cortex-m4", "cortex-m7", "cortex-m33")

# Single precision throughout: no kernel uses double, and it is what all parts of a core have.
_GCC_CORE_FLAGS: dict[Core, tuple[str, ...]] = {
    "cortex-m4": ("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16"),
    "cortex-m7": ("-mcpu=cortex-m7", "-mfpu=fpv5-sp-d16"),
    "cortex-m33": ("-mcpu=cortex-m33", "-mfpu=fpv5-sp-d16"),
}
_ZIG_CORE_FLAGS: dict[Core, tuple[str, ...]] = {
    "cortex-m4": ("-mcpu=cortex_m4",),
    "cortex-m7": ("-mcpu=cortex_m7-fp_armv8d16",),
    "cortex-m33": ("-mcpu=cortex_m33+dsp",),
}

# No unrolling beyond what the generated kernels spell out, and no loops turned into library
# calls: code size and timing are planned, not left to chance.
_COMMON_FLAGS = (
    "-std=c99",
    "-O2",
    "-ffreestanding",
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-unroll-loops",
    "-fno-common",
    "-fomit-frame-pointer",
    "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables",
    "-fno-stack-protector",
    "-Wall",
    "-Wextra",
    "-Wconversion",
)
_GCC_FLAGS = ("-mthumb", "-mfloat-abi=hard", "-fno-tree-loop-distribute-patterns")
_XTENSA_COMMON_FLAGS = ("-fno-tree-loop-distribute-patterns",)
# zig cc compiles for debugging with the undefined-behaviour sanitiser unless told otherwise.
_ZIG_FLAGS = ("-target", "thumb-freestanding-eabihf", "-g0", "-fno-sanitize=undefined")


class Compiler(Record):
    """A C compiler for one core. `command` starts it; `version` is its own version string."""

    kind: CompilerKind
    command: tuple[str, ...]
    version: str
    core: Core

    def __str__(self) -> str:
        return f"{self.kind} {self.version}"

    @property
    def machine_flags(self) -> tuple[str, ...]:
        """Flags that choose core, floating-point unit and ABI; for compiling and for linking."""
        if self.core == "xtensa-lx7":
            return _XTENSA_FLAGS[Path(self.command[0]).stem] + _XTENSA_COMMON_FLAGS
        if self.kind == "gcc":
            return _GCC_CORE_FLAGS[self.core] + _GCC_FLAGS
        return _ZIG_FLAGS + _ZIG_CORE_FLAGS[self.core]

    @property
    def environment(self) -> dict[str, str]:
        """Variables that the compiler needs on top of the user's."""
        return zig_environment() if self.kind == "zig" else {}

    @property
    def compile_flags(self) -> tuple[str, ...]:
        """All flags for compiling one source, without include folders."""
        return self.machine_flags + _COMMON_FLAGS


def find_compiler(core: Core) -> Compiler:
    """Return the compiler for `core`: arm-none-eabi-gcc when it is on the PATH, else zig's.

    For Xtensa, Espressif's when it is on the PATH, else Debian's.

    The environment variable AUTOMCU_COMPILER (gcc or zig) forces one.

    Raises:
        ToolError: there is none; the message says what to install.
        WrongInputError: AUTOMCU_COMPILER names another compiler.
    """
    if core not in _ARM_CORES:
        return _find_xtensa_compiler(core)
    choice = os.environ.get(_CHOICE_VARIABLE, "")
    if choice not in ("", "gcc", "zig"):
        raise WrongInputError(
            f"{_CHOICE_VARIABLE} is {choice!r}. Set it to gcc or zig, or leave it unset."
        )
    if choice != "zig":
        gcc = shutil.which(_GCC)
        if gcc is not None:
            return Compiler(kind="gcc", command=(gcc,), version=_gcc_version(gcc), core=core)
    if choice == "gcc":
        raise ToolError(
            f"{_GCC} is not on the PATH. Install it (Debian and Ubuntu: apt-get install "
            f"gcc-arm-none-eabi), or unset {_CHOICE_VARIABLE}."
        )
    return Compiler(kind="zig", command=zig_command(), version=zig_version(), core=core)


def _find_xtensa_compiler(core: Core) -> Compiler:
    for name in _XTENSA_FLAGS:
        path = shutil.which(name)
        if path is not None:
            return Compiler(kind="gcc", command=(path,), version=_gcc_version(path), core=core)
    raise ToolError(
        f"There is no compiler for {core} on the PATH: {' or '.join(_XTENSA_FLAGS)}. Install one "
        "(Debian and Ubuntu: apt-get install gcc-xtensa-lx106), or build the project with ESP-IDF."
    )


@cache
def _gcc_version(gcc: str) -> str:
    return first_line_of((gcc, "-dumpfullversion"))

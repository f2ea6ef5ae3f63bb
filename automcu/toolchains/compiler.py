"""C compilers: finding one for a core or for this machine, its flags, and running it.

zig's comes with the `ziglang` package to every platform; the one for this machine compiles units
under test and native hooks.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from automcu.errors import ToolError, WrongInputError
from automcu.mcu.core import core_named
from automcu.records import Record

_TIMEOUT_S = 300
_ERROR_LINE = re.compile(r"\b(?:fatal )?error:|undefined reference|overflowed")


class ToolFailedError(Exception):
    """A tool ran and said no; `output` is all that it printed."""

    def __init__(self, output: str) -> None:
        super().__init__(first_error(output))
        self.output = output


def run_tool(
    command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> str:
    """Run `command` in `folder` and return what it printed to standard output.

    `environment` holds variables on top of those of this process.

    Raises:
        ToolFailedError: it ended with an error.
        ToolError: it could not be started, or took longer than five minutes.
    """
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except OSError as error:
        raise ToolError(
            f"{command[0]} could not be started ({error.strerror}). Reinstall it, or choose "
            "another compiler with AUTOMCU_COMPILER."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ToolError(
            f"{command[0]} did not finish within {_TIMEOUT_S} s. Try again on an idle machine."
        ) from error
    if done.returncode != 0:
        raise ToolFailedError(done.stderr + done.stdout)
    return done.stdout


def first_line_of(command: Sequence[str]) -> str:
    """Return the first line that `command` prints, such as its version.

    Raises:
        ToolError: it does not run.
    """
    try:
        lines = run_tool(command, Path.cwd()).splitlines()
    except ToolFailedError as failure:
        raise ToolError(f"{' '.join(command)} does not run: {failure}. Reinstall it.") from failure
    return lines[0].strip() if lines else "of unknown version"


def first_error(output: str) -> str:
    """Return the first line of a tool's output that names an error, else its first line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    named = (line for line in lines if _ERROR_LINE.search(line))
    return next(named, lines[0] if lines else "it said nothing")


_CACHE_VARIABLE = "ZIG_GLOBAL_CACHE_DIR"


def zig_command() -> tuple[str, ...]:
    """Return the command that starts zig's C compiler.

    Raises:
        ToolError: the package is missing.
    """
    if importlib.util.find_spec("ziglang") is None:
        raise ToolError(
            "There is no C compiler. Install one with: pip install ziglang "
            "(or arm-none-eabi-gcc for Cortex-M)."
        )
    return (sys.executable, "-m", "ziglang", "cc")


@cache
def zig_version() -> str:
    """Return zig's own version, not that of the clang inside it."""
    return first_line_of((sys.executable, "-m", "ziglang", "version"))


def zig_environment() -> dict[str, str]:
    """Return the variables that zig needs on top of the user's.

    zig does not end when it cannot create its cache folder, so it gets one in the temporary
    folder if the usual place cannot be written to.
    """
    if _CACHE_VARIABLE in os.environ or _is_writable_folder(_usual_cache()):
        return {}
    return {_CACHE_VARIABLE: str(Path(tempfile.gettempdir()) / f"automcu-zig-{os.getuid()}")}


def _usual_cache() -> Path | None:
    if os.name != "posix":
        return Path(tempfile.gettempdir())  # elsewhere zig's own choice is always there
    home = os.environ.get("HOME")
    base = os.environ.get("XDG_CACHE_HOME") or (f"{home}/.cache" if home else None)
    return Path(base, "zig") if base else None


def _is_writable_folder(folder: Path | None) -> bool:
    if folder is None:
        return False
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


CompilerKind = Literal["gcc", "zig"]

_CHOICE_VARIABLE = "AUTOMCU_COMPILER"

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


class Compiler(Record):
    """A C compiler for one core. `command` starts it; `version` is its own version string."""

    kind: CompilerKind
    command: tuple[str, ...]
    version: str
    core: str

    def __str__(self) -> str:
        return f"{self.kind} {self.version}"

    @property
    def machine_flags(self) -> tuple[str, ...]:
        """Flags that choose core, floating-point unit and ABI; for compiling and for linking."""
        core = core_named(self.core)
        if self.kind == "zig" and core.zig is not None:
            return core.zig
        return core.gcc[Path(self.command[0]).stem]

    @property
    def environment(self) -> dict[str, str]:
        """Variables that the compiler needs on top of the user's."""
        return zig_environment() if self.kind == "zig" else {}

    @property
    def compile_flags(self) -> tuple[str, ...]:
        """All flags for compiling one source, without include folders."""
        return self.machine_flags + _COMMON_FLAGS


def find_compiler(core: str) -> Compiler:
    """Return the compiler for `core`: the first of its own that is on the PATH, else zig's.

    The environment variable AUTOMCU_COMPILER (gcc or zig) forces one for a core that zig knows.

    Raises:
        ToolError: there is none; the message says what to install.
        WrongInputError: AUTOMCU_COMPILER names another compiler, or there is no such core.
    """
    known = core_named(core)
    choice = _forced_choice() if known.zig is not None else "gcc"
    for path in filter(None, map(shutil.which, known.gcc if choice != "zig" else ())):
        return Compiler(kind="gcc", command=(path,), version=_gcc_version(path), core=core)
    if choice == "gcc":
        raise ToolError(
            f"There is no compiler for {core} on the PATH: {' or '.join(known.gcc)}. "
            f"{known.install}"
        )
    return Compiler(kind="zig", command=zig_command(), version=zig_version(), core=core)


def _forced_choice() -> str:
    choice = os.environ.get(_CHOICE_VARIABLE, "")
    if choice not in ("", "gcc", "zig"):
        raise WrongInputError(
            f"{_CHOICE_VARIABLE} is {choice!r}. Set it to gcc or zig, or leave it unset."
        )
    return choice


@cache
def _gcc_version(gcc: str) -> str:
    return first_line_of((gcc, "-dumpfullversion"))


_SYSTEM_COMPILERS = ("cc", "gcc", "clang")
_FLAGS = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Wconversion")


class HostCompiler(Record):
    """A C compiler for this machine; `command` starts it, with `environment` added."""

    command: tuple[str, ...]
    environment: dict[str, str]

    def shared_library(
        self,
        sources: Sequence[Path],
        output: Path,
        include_dirs: Sequence[Path] = (),
        flags: Sequence[str] = (),
    ) -> Path:
        """Compile `sources` into a library that `ctypes.CDLL` loads; returns `output`.

        Raises:
            ToolError: the compiler found an error; the message has the first one.
        """
        return self._build(sources, output, include_dirs, ("-shared", "-fPIC", *flags))

    def program(
        self,
        sources: Sequence[Path],
        output: Path,
        include_dirs: Sequence[Path] = (),
        flags: Sequence[str] = (),
    ) -> Path:
        """Compile `sources` into an executable; returns `output`.

        Raises:
            ToolError: the compiler found an error; the message has the first one.
        """
        return self._build(sources, output, include_dirs, flags)

    def _build(
        self,
        sources: Sequence[Path],
        output: Path,
        include_dirs: Sequence[Path],
        flags: Sequence[str],
    ) -> Path:
        output.parent.mkdir(parents=True, exist_ok=True)
        includes = [f"-I{folder.absolute()}" for folder in include_dirs]
        files = [str(source.absolute()) for source in sources]
        command = [*self.command, *_FLAGS, *flags, *includes, *files, "-o", str(output.absolute())]
        try:
            run_tool(command, output.parent, self.environment)
        except ToolFailedError as failure:
            raise ToolError(
                f"{self.command[0]} does not compile {output.name}: {failure}. "
                "Install another C compiler, or report this as a bug."
            ) from failure
        return output


@cache
def host_compiler() -> HostCompiler:
    """Return this machine's own C compiler, or zig's.

    Raises:
        ToolError: there is neither.
    """
    for name in _SYSTEM_COMPILERS:
        path = shutil.which(name)
        if path is not None:
            return HostCompiler(command=(path,), environment={})
    return HostCompiler(
        command=(*zig_command(), "-fno-sanitize=undefined"), environment=zig_environment()
    )

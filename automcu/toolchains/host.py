"""C on the developer's own machine: the firmware's units under test, and native hooks."""

import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from automcu.errors import ToolError
from automcu.records import Record
from automcu.toolchains.process import ToolFailedError, run_tool
from automcu.toolchains.zig import zig_command, zig_environment

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

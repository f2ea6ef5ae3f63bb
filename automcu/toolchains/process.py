"""Running a compiler or linker, and turning its failure into one line."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from automcu.errors import ToolError

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

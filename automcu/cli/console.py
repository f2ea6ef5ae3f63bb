"""The one way to a terminal: what is printed is text, whoever wrote it, and never a command.

Answers go to stdout; progress, a line per stage with the time left, goes to stderr.
"""

import json
import sys
import time
import warnings
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.text import Text

from automcu.plain_text import one_line, printable
from automcu.report.wording import duration

_WIDTH_WITHOUT_TERMINAL = 110


def say(text: str, *, error: bool = False) -> None:
    """Print a line to stdout, or with `error` to stderr."""
    print(printable(text), file=sys.stderr if error else sys.stdout, flush=True)


def say_json(document: dict[str, Any], indent: int | None = None) -> None:
    """Print a JSON document; what is not finite becomes null, which JSON can say."""
    sys.stdout.write(json.dumps(_finite(document), indent=indent, allow_nan=False) + "\n")
    sys.stdout.flush()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    is_number = isinstance(value, float)
    return None if is_number and value - value != 0.0 else value


class PlainConsole(Console):
    """A rich console for tables, whose strings are text: no markup, emoji code or escape.

    Colours are for `rich.text.Text` that the project makes itself.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(markup=False, emoji=False, **settings)

    def render_str(self, text: str, **options: Any) -> Text:
        """Make a string a text, with what cannot be seen written out."""
        return super().render_str(printable(text), **{**options, "markup": False})

    def render(self, renderable: Any, options: Any = None) -> Any:
        """Write out what cannot be seen in a text, too."""
        if isinstance(renderable, Text) and printable(renderable.plain) != renderable.plain:
            renderable = Text(printable(renderable.plain), renderable.style)
        return super().render(renderable, options)


def plain_console(*, stderr: bool = False) -> Console:
    """Return the console of stdout, or with `stderr` that of stderr, as wide as its terminal."""
    console = PlainConsole(stderr=stderr)
    if stderr or console.is_terminal:
        return console
    return PlainConsole(width=_WIDTH_WITHOUT_TERMINAL)


def prepare_streams() -> None:
    """Let what a terminal's encoding cannot show be written out, and warnings be plain text."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="backslashreplace")
    warnings.showwarning = _show_warning


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    say(f"{category.__name__}: {message}", error=True)


class TerminalProgress:
    """Draws stages with rich; where stderr is no terminal, prints a line when a stage ends.

    Use as a context manager, so that the terminal is left as it was.
    """

    def __init__(self) -> None:
        self._console = plain_console(stderr=True)
        self._bars = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task: TaskID | None = None
        self._stage = ""
        self._note = ""
        self._counted = ""
        self._started = 0.0

    def __enter__(self) -> "TerminalProgress":
        self._bars.start()
        return self

    def __exit__(self, error: object, *_: object) -> None:
        self._end_stage(done=error is None)
        self._bars.stop()

    def begin(self, stage: str) -> None:
        """Close the running stage and open a new one."""
        self._end_stage(done=True)
        self._stage, self._note, self._started = one_line(stage), "", time.monotonic()
        self._task = self._bars.add_task(self._stage, total=1.0, note="")

    def update(self, fraction: float, note: str = "", seconds_left: float | None = None) -> None:
        """Move the bar; without an own figure the time left follows from the speed so far."""
        self._note = note = one_line(note)
        elapsed = time.monotonic() - self._started
        if seconds_left is None and 0.0 < fraction < 1.0:
            seconds_left = elapsed * (1.0 - fraction) / fraction
        left = f", {duration(seconds_left)} left" if seconds_left else ""
        if self._task is not None:
            self._bars.update(self._task, completed=min(fraction, 1.0), note=note + left)

    def count(self, what: str, done: int, total: int) -> None:
        """Move the bar by counted pieces; what is counted may change during a stage."""
        if what != self._counted:
            self._counted, self._started = what, time.monotonic()
        self.update(done / max(total, 1), f"{what} {done:,}/{total:,}")

    def say(self, sentence: str) -> None:
        """Print a sentence above the bars."""
        if self._console.is_terminal:
            self._bars.print(sentence)
        else:
            say(sentence, error=True)

    def _end_stage(self, done: bool) -> None:
        if self._task is None:
            return
        took = duration(time.monotonic() - self._started)
        note = f"{self._note} ({took})" if self._note else took
        if done:
            self._bars.update(self._task, completed=1.0, note=note)
        if not self._console.is_terminal:
            state = "" if done else " (stopped)"
            say(f"{self._stage}{state}: {note}", error=True)
        self._task = None

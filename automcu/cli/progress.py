"""Progress on stderr: one line per stage, with the time left where a stage knows it."""

import time

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from automcu.cli.answer import plain_console, print_text
from automcu.errors import one_line
from automcu.report.wording import duration


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

    def notify(self, sentence: str) -> None:
        """Print a sentence above the bars."""
        if self._console.is_terminal:
            self._bars.print(sentence)
        else:
            print_text(sentence, error=True)

    def _end_stage(self, done: bool) -> None:
        if self._task is None:
            return
        took = duration(time.monotonic() - self._started)
        note = f"{self._note} ({took})" if self._note else took
        if done:
            self._bars.update(self._task, completed=1.0, note=note)
        if not self._console.is_terminal:
            state = "" if done else " (stopped)"
            print_text(f"{self._stage}{state}: {note}", error=True)
        self._task = None

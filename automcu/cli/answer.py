"""One way for every command to answer: a table or one JSON document, and an exit code.

What is printed is text, whoever wrote it, and never a command to the terminal.
"""

import contextlib
import json
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Annotated, Any, TextIO

import typer
from rich import box
from rich.console import Console, RenderableType
from rich.table import Column, Table
from rich.text import Text

from automcu.errors import (
    EXIT_DONE,
    EXIT_TOOL_OR_BOARD,
    EXIT_WRONG_USE,
    AutomcuError,
    file_problem,
    printable,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

_WIDTH_WITHOUT_TERMINAL = 110
# What a shell reports for a program that a signal ended.
SIGNAL_EXIT = 128
_ENDING_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has only the first two


def print_text(text: str, *, error: bool = False) -> None:
    """Print a line to stdout, or with `error` to stderr."""
    print(printable(text), file=sys.stderr if error else sys.stdout, flush=True)


def print_json(document: dict[str, Any], indent: int | None = None) -> None:
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
    print_text(f"{category.__name__}: {message}", error=True)


class TerminatedError(KeyboardInterrupt):
    """A service manager or a closed terminal ends the program: what Ctrl-C tidies up, this does."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclass(frozen=True)
class Answer:
    """What a command found out: for scripts, for people, and as an exit code.

    `problem` is printed to stderr; it says why the exit code is not 0.
    """

    document: dict[str, Any]
    shown: RenderableType
    exit_code: int = EXIT_DONE
    problem: str | None = None


def table(headings: Sequence[str | Column], rows: Iterable[Sequence[str]], **style: Any) -> Table:
    """Return a table with a line under its headings; `style` is rich's."""
    made = Table(*headings, **{"box": box.SIMPLE_HEAD, **style})
    for row in rows:
        made.add_row(*row)
    return made


def pairs(rows: Iterable[tuple[str, str]]) -> Table:
    """Return a table of names and what they have, without headings."""
    name = Column(style="bold", no_wrap=True)
    return table((name, Column()), rows, show_header=False, box=None)


def text(heading: str) -> Column:
    """Return a column of words, which may be cut anywhere."""
    return Column(heading, overflow="fold")


def number(heading: str) -> Column:
    """Return a column of figures."""
    return Column(heading, justify="right", no_wrap=True)


def respond(
    command: Callable[[], Answer],
    as_json: bool,
    debug: bool,
    on_stop: Callable[[], str] = lambda: "",
) -> None:
    """Run a command and print its answer or its error. SIGTERM and SIGHUP end it as Ctrl-C does.

    Args:
        command: does the work.
        as_json: print one JSON document.
        debug: let errors show their traceback.
        on_stop: what is true of the work when it is stopped; asked then.

    Raises:
        typer.Exit: always, with the exit code.
    """
    try:
        with _signals_raised():
            answer = command()
    except KeyboardInterrupt as stop:
        number = stop.number if isinstance(stop, TerminatedError) else signal.SIGINT
        _fail(f"Stopped. {on_stop()}".strip(), SIGNAL_EXIT + number, as_json)
    except AutomcuError as error:
        _show_traceback(debug)
        _fail(str(error), error.exit_code, as_json)
    except Exception as error:  # the last line of defence: no user should meet a traceback
        _show_traceback(debug)
        problem = file_problem(error)
        if problem:
            _fail(problem, EXIT_WRONG_USE, as_json)
        text = f"Unexpected {type(error).__name__}: {error}. Run again with --debug and report it."
        _fail(text, EXIT_TOOL_OR_BOARD, as_json)
    if as_json:
        print_json(answer.document, indent=2)
    else:
        plain_console().print(answer.shown)
    if answer.problem:
        print_text(answer.problem, error=True)
    raise typer.Exit(answer.exit_code)


@contextlib.contextmanager
def _signals_raised() -> Iterator[None]:
    """While the block runs, signals that end the program raise `TerminatedError`.

    A signal that is ignored, as SIGHUP is under nohup, stays so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say what signals do
        return
    numbers = [getattr(signal, name) for name in _ENDING_SIGNALS if hasattr(signal, name)]
    before = {
        number: signal.signal(number, _raise)
        for number in numbers
        if signal.getsignal(number) not in (signal.SIG_IGN, None)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise(number: int, _: FrameType | None) -> None:
    raise TerminatedError(number)


def _show_traceback(debug: bool) -> None:
    if debug:
        print_text(traceback.format_exc(), error=True)


def _fail(message: str, exit_code: int, as_json: bool) -> None:
    if as_json:
        print_json({"error": message, "exit_code": exit_code})
    print_text(message, error=True)
    raise typer.Exit(exit_code)

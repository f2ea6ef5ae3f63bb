"""The one way to a terminal: what is printed is text, whoever wrote it, and never a command."""

import json
import signal
import sys
import warnings
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO

import typer
from typer.core import TyperGroup

from automcu.errors import EXIT_WRONG_USE
from automcu.plain_text import printable

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH_WITHOUT_TERMINAL = 110
# The base of what typer raises for wrong use; it has no public name.
_WRONG_USE: type[Exception] = typer.BadParameter.__mro__[2]


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


def plain_console(*, stderr: bool = False) -> "Console":
    """Return a rich console for tables, whose strings are text: no markup, emoji code or escape.

    Colours are for `rich.text.Text` that the project makes itself.
    """
    from rich.console import Console
    from rich.text import Text

    class PlainConsole(Console):
        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(printable(text), **{**options, "markup": False})

        def render(self, renderable: Any, options: Any = None) -> Any:
            if isinstance(renderable, Text) and printable(renderable.plain) != renderable.plain:
                renderable = Text(printable(renderable.plain), renderable.style)
            return super().render(renderable, options)

    console = PlainConsole(stderr=stderr, markup=False, emoji=False)
    if stderr or console.is_terminal:
        return console
    return PlainConsole(markup=False, emoji=False, width=_WIDTH_WITHOUT_TERMINAL)


class PlainGroup(TyperGroup):
    """All commands; wrong use is told in plain text, and with `--json` as one document as well."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command line.

        Raises:
            SystemExit: always, if it is run standalone.
        """
        words = list(sys.argv[1:] if args is None else args)
        run = partial(
            super().main, args, prog_name, complete_var, False, windows_expand_args, **extra
        )
        if not standalone_mode:
            return run()
        try:
            code = run()
        except typer.Abort:  # Ctrl-C while the command line is read
            say("Stopped.", error=True)
            sys.exit(128 + signal.SIGINT)
        except _WRONG_USE as problem:
            _tell_wrong_use(problem, "--json" in words)
            sys.exit(EXIT_WRONG_USE)
        sys.exit(code if isinstance(code, int) else 0)


def _tell_wrong_use(problem: Any, as_json: bool) -> None:
    if type(problem).__name__ == "NoArgsIsHelpError":  # whose help stands there already
        return
    context = getattr(problem, "ctx", None)
    how = f"Try {context.command_path} --help." if context else ""
    message = f"{str(problem.format_message()).rstrip('.')}. {how}".strip()
    if as_json:
        say_json({"error": message, "exit_code": EXIT_WRONG_USE})
    say(message, error=True)


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

"""The one way to a terminal: what is printed is text, whoever wrote it, and never a command."""

import json
import sys
import warnings
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from automcu.plain_text import printable

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

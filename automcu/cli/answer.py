"""One way for every command to answer: a table or one JSON document, and an exit code."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automcu.cli.console import plain_console, say, say_json
from automcu.errors import EXIT_DONE, EXIT_TOOL_OR_BOARD, AutomcuError

if TYPE_CHECKING:
    from rich.console import RenderableType

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

# What a shell reports for a program that Ctrl-C ended: 128 + SIGINT.
EXIT_INTERRUPTED = 130


@dataclass(frozen=True)
class Answer:
    """What a command found out: for scripts, for people, and as an exit code.

    `problem` is printed to stderr; it says why the exit code is not 0.
    """

    document: dict[str, Any]
    shown: "RenderableType"
    exit_code: int = EXIT_DONE
    problem: str | None = None


def respond(command: Callable[[], Answer], as_json: bool, debug: bool, on_stop: str = "") -> None:
    """Run a command and print its answer or its error.

    Args:
        command: does the work.
        as_json: print one JSON document.
        debug: let errors show their traceback.
        on_stop: what to tell a user who presses Ctrl-C.

    Raises:
        typer.Exit: always, with the exit code.
    """
    try:
        answer = command()
    except KeyboardInterrupt:
        _fail(f"Stopped. {on_stop}".strip(), EXIT_INTERRUPTED, as_json)
    except AutomcuError as error:
        _show_traceback(debug)
        _fail(str(error), error.exit_code, as_json)
    except Exception as error:  # the last line of defence: no user should meet a traceback
        _show_traceback(debug)
        text = f"Unexpected {type(error).__name__}: {error}. Run again with --debug and report it."
        _fail(text, EXIT_TOOL_OR_BOARD, as_json)
    if as_json:
        say_json(answer.document, indent=2)
    else:
        plain_console().print(answer.shown)
    if answer.problem:
        say(answer.problem, error=True)
    raise typer.Exit(answer.exit_code)


def _show_traceback(debug: bool) -> None:
    if debug:
        say(traceback.format_exc(), error=True)


def _fail(message: str, exit_code: int, as_json: bool) -> None:
    if as_json:
        say_json({"error": message, "exit_code": exit_code})
    say(message, error=True)
    raise typer.Exit(exit_code)

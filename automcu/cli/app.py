"""All commands under one roof. A command's module is imported when the command is called."""

import signal
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from automcu import __version__
from automcu.cli.answer import SIGNAL_EXIT, prepare_streams, print_json, print_text
from automcu.errors import EXIT_WRONG_USE

COMMANDS = {
    "design": (
        "design",
        "Design a network for a board: what fits, training, firmware, and a run on the board.",
    ),
    "devices": (
        "devices",
        "List the boards it knows, show one in full, or write a profile for a part: new PART.",
    ),
    "space": (
        "space",
        "Judge all 15,625 cells in one skeleton: how many fit, and which are the best.",
    ),
    "check": (
        "model",
        "Say whether a model fits a board; a cell is judged in the skeleton that the options give.",
    ),
    "compile": ("model", "Compile a model of your own to C for a board."),
    "build": (
        "firmware",
        "Compile and link a project's firmware, and verify it on the emulator.",
    ),
    "boards": ("boards", "List the boards that are plugged in and the virtual ones that run."),
    "flash": ("firmware", "Write a project's firmware to a board, verify it and start it."),
    "bench": ("firmware", "Flash a board, run the firmware and measure it."),
    "calibrate": (
        "boards",
        "Run microbenchmarks on a board and fit latency figures of your own to them.",
    ),
    "report": ("runs", "Show a run's result again, and write its report.html anew."),
    "studies": (
        "runs",
        "List studies: how many networks each has trained, and how good the best one is.",
    ),
    "doctor": (
        "doctor",
        "Check the installation: Python, packages, compilers, boards, and what to do about a gap.",
    ),
    "board": ("boards", "Virtual boards."),
}
"""Each command's module, which holds it under its name, and what the list of commands says."""

# The base of what typer raises for wrong use; it has no public name.
_WRONG_USE: type[Exception] = typer.BadParameter.__mro__[2]


class CommandGroup(TyperGroup):
    """All commands; wrong use is reported in plain text, with `--json` in one document as well."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands.update(
            {name: TyperCommand(name, help=summary) for name, (_, summary) in COMMANDS.items()}
        )

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Import the command that is called."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if name is None else command_named(name), rest

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
            print_text("Stopped.", error=True)
            sys.exit(SIGNAL_EXIT + signal.SIGINT)
        except _WRONG_USE as problem:
            _report_wrong_use(problem, "--json" in words)
            sys.exit(EXIT_WRONG_USE)
        sys.exit(code if isinstance(code, int) else 0)


def command_named(name: str) -> Any:
    """Return a command, or a group of them, with its options."""
    found = getattr(import_module(f"automcu.cli.{COMMANDS[name][0]}"), name)
    if not isinstance(found, typer.Typer):
        function, found = found, typer.Typer(add_completion=False)
        found.command(name)(function)
    command = typer.main.get_command(found)
    command.name = name
    return command


def _report_wrong_use(problem: Any, as_json: bool) -> None:
    if type(problem).__name__ == "NoArgsIsHelpError":  # whose help stands there already
        return
    context = getattr(problem, "ctx", None)
    how = f"Try {context.command_path} --help." if context else ""
    message = f"{str(problem.format_message()).rstrip('.')}. {how}".strip()
    if as_json:
        print_json({"error": message, "exit_code": EXIT_WRONG_USE})
    print_text(message, error=True)


app = typer.Typer(
    name="automcu",
    cls=CommandGroup,
    help="From one sentence to a neural network that fits a microcontroller, its firmware, "
    "and its latency on the board.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"automcu {__version__}")
        raise typer.Exit


@app.callback()
def _automcu(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run `automcu`; the entry point of the installed program."""
    prepare_streams()
    app()

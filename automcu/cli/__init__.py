"""The command line: parse, call, print. Commands import heavy modules when they run."""

from automcu.cli.app import app
from automcu.cli.console import prepare_streams


def main() -> None:
    """Run `automcu`; the entry point of the installed program."""
    prepare_streams()
    app()


__all__ = ["app", "main"]

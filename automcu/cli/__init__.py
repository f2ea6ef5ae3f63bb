"""The command line: parse, call, print. Commands import heavy modules when they run."""

from automcu.cli.app import app


def main() -> None:
    """Run `automcu`; the entry point of the installed program."""
    app()


__all__ = ["app", "main"]

"""The command line: parse, call, print. Heavy modules are imported by the commands that use them."""

from automcu.cli.app import app


def main() -> None:
    """Run `automcu`; the entry point of the installed program."""
    app()


__all__ = ["app", "main"]

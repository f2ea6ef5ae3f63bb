"""`automcu board run`: virtual boards that stay until Ctrl-C."""

import contextlib
import time
from typing import TYPE_CHECKING, Annotated

import typer

from automcu.cli.answer import Answer, Debug, Json, respond
from automcu.cli.console import say, say_json

if TYPE_CHECKING:
    from automcu.mcu import Device

board = typer.Typer(help="Virtual boards.", no_args_is_help=True)

_LOOK_S = 0.5


@board.callback()
def _board() -> None:
    """Virtual boards that other programs can flash and measure."""


@board.command("run")
def run(
    devices: Annotated[list[str], typer.Argument(metavar="ID...", help="Boards to run.")],
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65535, help="TCP port of the first, the others follow; 0: any free one."
        ),
    ] = 0,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Run virtual boards on rfc2217:// until Ctrl-C; every board command takes their URLs."""
    respond(lambda: _run(devices, port, json), json, debug)


def _run(names: list[str], first_port: int, as_json: bool) -> Answer:
    from automcu.boards.virtual import virtual_board
    from automcu.mcu import find_device

    known = [find_device(name) for name in names]
    with contextlib.ExitStack() as stack:
        urls = [
            stack.enter_context(
                virtual_board(device, first_port + index if first_port else 0, "rfc2217")
            )
            for index, device in enumerate(known)
        ]
        _announce(known, urls, as_json)
        with contextlib.suppress(KeyboardInterrupt):
            _wait(urls)
    return Answer({"ended": urls}, "The virtual boards have ended.")


def _announce(known: "list[Device]", urls: list[str], as_json: bool) -> None:
    if as_json:
        started = [
            {"device": device.id, "url": url} for device, url in zip(known, urls, strict=True)
        ]
        say_json({"boards": started})
        return
    for device, url in zip(known, urls, strict=True):
        say(f"virtual {device.name}: {url}")
    say("Ctrl-C ends.", error=True)


def _wait(urls: list[str]) -> None:
    """Wait for Ctrl-C.

    Raises:
        BoardError: a board ended by itself.
    """
    from automcu.boards.virtual import running_boards
    from automcu.errors import BoardError

    while True:
        time.sleep(_LOOK_S)
        gone = set(urls) - {board.url for board in running_boards()}
        if gone:
            raise BoardError(f"The virtual board at {min(gone)} has ended. Start it again.")

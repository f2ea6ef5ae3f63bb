"""`automcu boards`, `board run` and `calibrate`: boards plugged in, virtual ones, their latency."""

import contextlib
import time
from typing import TYPE_CHECKING, Annotated

import typer

from automcu.boards.discovery import find_boards
from automcu.boards.records import FoundBoard
from automcu.boards.virtual import running_boards, virtual_board
from automcu.cli.answer import Answer, Debug, Json, print_json, print_text, respond, table, text
from automcu.cli.options import Board, DeviceId
from automcu.cli.progress import TerminalProgress
from automcu.errors import BoardError
from automcu.mcu import Device, find_device

if TYPE_CHECKING:
    from automcu.calibration import NetworkErrors

board = typer.Typer(help="Virtual boards.", no_args_is_help=True, add_completion=False)

_LOOK_S = 0.5
# Chains of layers, and networks of the space: as many as the shipped figures are fitted to, or few.
_CHAINS, _NETWORKS = 20, 6
_QUICK_CHAINS, _QUICK_NETWORKS = 4, 2


def boards(
    ask: Annotated[
        bool, typer.Option(help="Ask each chip what it is; without, USB ids alone tell.")
    ] = True,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """List the boards that are plugged in and the virtual ones that run."""
    respond(lambda: _boards(ask), json, debug)


def _boards(ask: bool) -> Answer:
    found = find_boards(ask)
    document = {"boards": [one.model_dump(mode="json") for one in found]}
    if not found:
        return Answer(
            document,
            "No board is plugged in, and no virtual one runs. "
            "Start one with `automcu board run ID`; `automcu devices` lists the ids.",
        )
    rows = ((one.url, one.usb_id or "virtual", _names(one), _evidence(one)) for one in found)
    headings = [text(heading) for heading in ("port", "USB id", "board", "known by")]
    return Answer(document, table(headings, rows, pad_edge=False))


def _names(found: FoundBoard) -> str:
    return "\n".join(found.devices) or found.description or "not known"


def _evidence(found: FoundBoard) -> str:
    if found.problem:
        return found.problem
    if found.known_by == "nothing":
        return "no answer" if found.devices else "USB id of no profile; not asked"
    return f"{found.known_by}: {found.chip}" if found.chip else found.known_by


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


def _announce(known: list[Device], urls: list[str], as_json: bool) -> None:
    if as_json:
        started = [
            {"device": device.id, "url": url} for device, url in zip(known, urls, strict=True)
        ]
        print_json({"boards": started})
        return
    for device, url in zip(known, urls, strict=True):
        print_text(f"virtual {device.name}: {url}")
    print_text("Ctrl-C ends.", error=True)


def _wait(urls: list[str]) -> None:
    """Wait for Ctrl-C.

    Raises:
        BoardError: a board ended by itself.
    """
    while True:
        time.sleep(_LOOK_S)
        gone = set(urls) - {one.url for one in running_boards()}
        if gone:
            raise BoardError(f"The virtual board at {min(gone)} has ended. Start it again.")


def calibrate(
    device: DeviceId,
    board: Board = "virtual",
    quick: Annotated[
        bool, typer.Option("--quick", help="Few networks: a rough fit in a tenth of the time.")
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Run microbenchmarks on a board and fit latency figures of your own to them."""
    respond(
        lambda: _calibrate(device, board, quick),
        json,
        debug,
        on_stop=lambda: "The figures are as they were.",
    )


def _calibrate(name: str, board: str, quick: bool) -> Answer:
    from automcu.calibration import calibrate as run
    from automcu.mcu.find import save_figures, user_folder

    known = find_device(name)
    chains, networks = (_QUICK_CHAINS, _QUICK_NETWORKS) if quick else (_CHAINS, _NETWORKS)
    with TerminalProgress() as progress:
        progress.begin(f"calibrating {known.id} on {board}")

        def report(done: int, total: int) -> None:
            progress.count("networks", done, total)

        found = run(known, board, chains, networks, report)
    better = found.before is None or found.after.median_percent <= found.before.median_percent
    path = save_figures(user_folder(), known.id, found.latency) if better else None
    document = {
        "device": found.device,
        "board": found.board,
        "source": found.latency.source,
        "compiler": found.latency.compiler,
        "networks": found.networks,
        "before": found.before.model_dump() if found.before else None,
        "after": found.after.model_dump(),
        "path": str(path) if path else None,
    }
    return Answer(
        document,
        f"{known.id} on {board} ({found.latency.source}, code of {found.latency.compiler}), "
        "modelled against the board, on networks kept out of the fit:\n"
        f"  before: {_errors(found.before)}\n"
        f"  after:  {_errors(found.after)}\n"
        + (
            f"The figures are in {path}, and hold instead of the shipped ones."
            if path
            else "The old figures are nearer to this board, and stay as they were."
        ),
    )


def _errors(errors: "NetworkErrors | None") -> str:
    if errors is None:
        return "no figures"
    return f"median {errors.median_percent:.2f} % off, worst {errors.worst_percent:.2f} %"

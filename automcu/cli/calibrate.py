"""`automcu calibrate`: latency figures fitted to the board at hand."""

from typing import TYPE_CHECKING, Annotated

import typer

from automcu.cli.answer import Answer, Debug, Json, respond
from automcu.cli.options import Board, DeviceId
from automcu.cli.progress import TerminalProgress
from automcu.mcu import find_device

if TYPE_CHECKING:
    from automcu.calibration import NetworkErrors

# Chains of layers, and networks of the space: as many as the shipped figures are fitted to, or few.
_CHAINS, _NETWORKS = 20, 6
_QUICK_CHAINS, _QUICK_NETWORKS = 4, 2


def calibrate(
    device: DeviceId,
    board: Board = "virtual",
    quick: Annotated[
        bool, typer.Option("--quick", help="Few networks: a rough fit in a tenth of the time.")
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Run microbenchmarks on a board and fit your own profile's latency figures to them."""
    respond(
        lambda: _calibrate(device, board, quick),
        json,
        debug,
        on_stop=lambda: "The profile is as it was.",
    )


def _calibrate(name: str, board: str, quick: bool) -> Answer:
    from automcu.calibration import calibrate as run
    from automcu.calibration import save_to_own_profile

    known = find_device(name)
    chains, networks = (_QUICK_CHAINS, _QUICK_NETWORKS) if quick else (_CHAINS, _NETWORKS)
    with TerminalProgress() as progress:
        progress.begin(f"calibrating {known.id} on {board}")

        def tell(done: int, total: int) -> None:
            progress.count("networks", done, total)

        found = run(known, board, chains, networks, tell)
    better = found.before is None or found.after.median_percent <= found.before.median_percent
    path = save_to_own_profile(known, found.latency) if better else None
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
            f"The figures are in {path}, which now replaces the shipped profile."
            if path
            else "The old figures are nearer to this board: the profile stays as it was."
        ),
    )


def _errors(errors: "NetworkErrors | None") -> str:
    if errors is None:
        return "no figures"
    return f"median {errors.median_percent:.2f} % off, worst {errors.worst_percent:.2f} %"

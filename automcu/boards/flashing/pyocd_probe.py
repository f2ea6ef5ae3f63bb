"""A debug probe on this machine, driven by pyOCD; pyOCD is optional and imported when needed."""

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

from automcu.errors import BoardError, ToolError


@contextlib.contextmanager
def probe_session(serial_number: str | None, target: str, **options: object) -> Iterator[Any]:
    """Open a pyOCD session on the probe with this serial number, or on the only one there is.

    Args:
        serial_number: the probe's unique id, which is its USB serial number.
        target: pyOCD's name for the part.
        options: pyOCD session options.

    Raises:
        ToolError: pyOCD is not installed, or does not know the part.
        BoardError: there is no such probe, more than one, or it lost the board.
    """
    helpers = _import("pyocd.core.helpers")
    errors = _import("pyocd.core.exceptions")
    probes = connected_probes(serial_number)
    if len(probes) != 1:
        found = ", ".join(probes) or "none"
        raise BoardError(
            f"One debug probe is needed, these were found: {found}. "
            "Plug in the board's ST-LINK, and leave only one or name its serial port."
        )
    try:
        session = helpers.ConnectHelper.session_with_chosen_probe(
            blocking=False,
            unique_id=probes[0],
            options={"target_override": target, "hide_programming_progress": True, **options},
        )
        with session:
            yield session
    except errors.TargetSupportError as error:
        raise ToolError(
            f"pyOCD does not know the part {target}. Install its pack: pyocd pack install {target}"
        ) from error
    except (errors.Error, OSError) as error:
        raise BoardError(
            f"The debug probe lost the board ({error}). Check power and cable, and try again."
        ) from error


def connected_probes(serial_number: str | None) -> list[str]:
    """The unique ids of the probes on this machine, or of those with this serial number.

    Raises:
        ToolError: pyOCD is not installed.
    """
    probes = _import("pyocd.core.helpers").ConnectHelper.get_all_connected_probes(
        blocking=False, unique_id=serial_number, print_wait_message=False
    )
    return [str(probe.unique_id) for probe in probes]


def known_targets() -> frozenset[str]:
    """The parts that pyOCD knows by itself, and from the packs that its user has installed.

    Raises:
        ToolError: pyOCD is not installed.
    """
    built_in = frozenset(_import("pyocd.target").TARGET)
    packs = _import("pyocd.target.pack.pack_target").ManagedPacks.get_installed_targets()
    return built_in | {str(part.part_number).lower() for part in packs}


def new_programmer(session: Any, **options: object) -> Any:
    """pyOCD's FileProgrammer for an open session."""
    return _import("pyocd.flash.file_programmer").FileProgrammer(session, **options)


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ToolError(
            "Debug probes need pyOCD, which is not installed. pip install 'automcu[swd]', or "
            "choose another --method."
        ) from error

"""Boards of a farm: a place of a labgrid coordinator is acquired, used, and released.

labgrid brings a pyserial of its own, which would replace ours: it lives in an environment of its
own, and is driven as a program. The coordinator is the one that LG_COORDINATOR names.
"""

import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterator

from automcu.errors import BoardError, ToolError, WrongInputError

PREFIX = "labgrid:"

_CLIENT = "labgrid-client"
_TIMEOUT_S = 30.0
_SCHEMES = {"rfc2217": "rfc2217", "raw": "socket"}
_SERIAL_PORT = re.compile(r"Acquired resource 'NetworkSerialPort'.*?'params': (\{.*\})", re.DOTALL)


@contextlib.contextmanager
def acquired_place(place: str) -> Iterator[str]:
    """Acquire a place; yield the URL of its NetworkSerialPort; release it whatever happens.

    Raises:
        WrongInputError: the place has no name.
        ToolError: labgrid's client is not on the PATH.
        BoardError: there is no such place, someone else has it, or it has no serial port that can
            be reached from here.
    """
    if not place:
        raise WrongInputError(
            f"{PREFIX} needs a place, as in {PREFIX}my-board. `{_CLIENT} places` lists them."
        )
    _client(place, "acquire")
    try:
        yield _url(place, _client(place, "show"))
    finally:
        _client(place, "release")


def _client(place: str, command: str) -> str:
    program = shutil.which(_CLIENT)
    if program is None:
        raise ToolError(
            f"{_CLIENT} is not on the PATH. Install labgrid into an environment of its own "
            "(pipx install labgrid), or name a port instead."
        )
    try:
        done = subprocess.run(
            [program, "--place", place, command],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BoardError(
            f"labgrid does not answer within {_TIMEOUT_S:g} s. "
            "Check that LG_COORDINATOR names a coordinator that runs."
        ) from error
    if done.returncode != 0:
        reason = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise BoardError(
            f"labgrid could not {command} the place {place} "
            f"({reason[-1] if reason else 'no reason given'}). "
            f"`{_CLIENT} places` lists the places, and LG_COORDINATOR names the coordinator."
        )
    return done.stdout


def _url(place: str, description: str) -> str:
    match = _SERIAL_PORT.search(description)
    if match is None:
        raise BoardError(
            f"The place {place} has no NetworkSerialPort. "
            f"Add one to it: {_CLIENT} -p {place} add-match EXPORTER/BOARD/NetworkSerialPort"
        )
    parameters = match.group(1)
    if "'proxy_required': True" in parameters:
        raise BoardError(
            f"The serial port of {place} is reached through SSH only. Forward it yourself and "
            "give its rfc2217:// URL, or start the exporter without --isolated."
        )
    host, port, protocol = (
        _value(parameters, key) for key in ("'host': '", "'port': ", "'protocol': '")
    )
    return f"{_SCHEMES.get(protocol, 'rfc2217')}://{host}:{port}"


def _value(parameters: str, key: str) -> str:
    match = re.search(re.escape(key) + r"([\w.:-]+)", parameters)
    return match.group(1) if match else ""

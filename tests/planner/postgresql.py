"""A PostgreSQL server of the test's own, where its programs are installed."""

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_DEBIANS = Path("/usr/lib/postgresql")


def _programs() -> Path | None:
    """Return the folder of initdb and postgres; Debian keeps it off the PATH."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    return next((path.parent for path in sorted(_DEBIANS.glob("*/bin/initdb"))), None)


needs_postgresql = pytest.mark.skipif(
    _programs() is None or importlib.util.find_spec("psycopg") is None,
    reason="needs PostgreSQL's server (apt install postgresql) and pip install automcu[postgres]",
)


@pytest.fixture
def postgresql_url() -> Iterator[str]:
    programs = _programs()
    assert programs is not None
    home = Path(tempfile.mkdtemp(prefix="automcu-postgresql-"))
    # The server refuses to run as root.
    user = _other_user() if os.geteuid() == 0 else None
    if user:
        shutil.chown(home, user)
    port = _free_port()
    create = [programs / "initdb", "-D", home / "data", "-U", "automcu", "-A", "trust", "-N"]
    subprocess.run(create, check=True, stdout=subprocess.DEVNULL, user=user, cwd=home)
    options = ("-p", str(port), "-k", str(home), "-h", "127.0.0.1", "-F")
    server = subprocess.Popen(
        [programs / "postgres", "-D", home / "data", *options],
        stderr=subprocess.DEVNULL,
        user=user,
        cwd=home,
    )
    try:
        _wait_until_it_answers(port)
        yield f"postgresql+psycopg://automcu@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)  # at once, whoever is still connected
        server.wait(timeout=60)
        shutil.rmtree(home)


def _other_user() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_until_it_answers(port: int) -> None:
    import psycopg

    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(host="127.0.0.1", port=port, user="automcu", dbname="postgres").close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.2)
        else:
            return

"""`optuna-dashboard` opens a study of ours, as the documentation says."""

import importlib.util
import json
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from automcu.planner.study import Study
from tests.planner.test_study import in_order


@pytest.mark.skipif(
    importlib.util.find_spec("optuna_dashboard") is None,
    reason="needs pip install automcu[dashboard]",
)
def test_the_dashboard_shows_a_study_with_its_networks(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = Study(url, "digits-on-a-board", "run")
    claim = study.claim(in_order())
    assert claim
    study.finish(claim.trial, 91.5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [Path(sys.executable).parent / "optuna-dashboard", url]
    dashboard = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        reported = answered(f"http://127.0.0.1:{port}/api/studies")
        (shown,) = reported["study_summaries"]
        assert shown["study_name"] == "digits-on-a-board"
        trials = answered(f"http://127.0.0.1:{port}/api/studies/{shown['study_id']}")["trials"]
        assert [trial["values"] for trial in trials] == [[91.5]]
    finally:
        dashboard.terminate()
        dashboard.wait(timeout=30)


def answered(address: str) -> Any:
    """Return the JSON at an address, once the server is up."""
    deadline = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(address, timeout=30) as response:
                return json.load(response)
        except OSError:
            assert time.monotonic() < deadline, "the dashboard does not answer"
            time.sleep(0.3)

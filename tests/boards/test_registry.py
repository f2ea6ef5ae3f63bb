from pathlib import Path

import pytest

from automcu.boards.virtual import RunningBoard, is_virtual, running_boards, virtual_board
from automcu.boards.virtual.process import register
from automcu.mcu import Device


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    return tmp_path


def test_a_board_is_listed_while_it_runs(device: Device, cache: Path) -> None:
    with virtual_board(device) as url:
        assert running_boards() == (RunningBoard(url=url, device=device.id),)
        assert is_virtual(url)
        assert not is_virtual("/dev/ttyACM0")
    assert not is_virtual(url)
    assert list((cache / "automcu/virtual-boards").iterdir()) == []


def test_a_board_that_died_unnoticed_is_forgotten(cache: Path) -> None:
    register(RunningBoard(url="socket://127.0.0.1:1", device="gone"))
    (cache / "automcu/virtual-boards/2.json").write_text("not a record")
    assert running_boards() == ()
    assert not (cache / "automcu/virtual-boards/1.json").exists()


def test_where_nothing_can_be_kept_boards_run_all_the_same(
    device: Device, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cache / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache / "file"))
    monkeypatch.setenv("LOCALAPPDATA", str(cache / "file"))
    with virtual_board(device) as url:
        assert url.startswith("socket://127.0.0.1:")
        assert running_boards() == ()

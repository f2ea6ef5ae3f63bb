"""Which boards are there: USB ids of ports that are played, chips that answer for real."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from automcu.boards import discovery
from automcu.boards.discovery import ask_chip, find_boards
from automcu.boards.virtual import virtual_board
from automcu.errors import BoardError
from automcu.mcu import Device, find_device
from tests.boards.fake_board import Adder, fake_board

StartBoard = Callable[[Device], AbstractContextManager[str]]
ST_LINK = (0x0483, 0x374B)
UNKNOWN = (0x1234, 0x5678)


@pytest.fixture(autouse=True)
def nothing_else(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    yield


def plug_in(monkeypatch: pytest.MonkeyPatch, url: str, usb: tuple[int, int] | None) -> None:
    port = ListPortInfo(url)
    port.description, port.serial_number = "STM32 STLink", "066DFF"
    port.vid, port.pid = usb or (None, None)
    monkeypatch.setattr(list_ports, "comports", lambda: [port])


def test_a_chip_in_its_boot_loader_distinguishes_the_candidates_of_its_usb_id(
    start_board: StartBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start_board(find_device("f746")) as url:
        plug_in(monkeypatch, url, ST_LINK)
        board, _ = find_boards()  # the other is the same one, as a virtual board
    assert (board.url, board.usb_id, board.virtual) == (url, "0483:374b", False)
    assert (board.known_by, board.devices) == ("boot loader", ("stm32f746g-disco",))
    assert board.chip == "part 0x449"


def test_firmware_answers_for_its_board(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_board(Adder()) as url:
        # One host only: the fake board takes a single connection.
        answer = ask_chip(url, [find_device("f746")], None)
    assert (answer.known_by, answer.devices) == ("firmware", ("fake",))
    assert answer.identity is not None
    assert answer.identity.clock_hz == 100_000_000


def test_a_silent_chip_is_known_by_its_usb_id_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "ask_chip", lambda *_: discovery.ChipAnswer(known_by="nothing"))
    plug_in(monkeypatch, "/dev/ttyACM0", ST_LINK)
    (board,) = find_boards()
    assert board.known_by == "USB id"
    assert {"nucleo-f446re", "nucleo-l4r5zi"} <= set(board.devices)


def test_ports_of_other_makes_are_listed_and_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object) -> None:
        raise AssertionError("a port of another make was opened")

    monkeypatch.setattr(discovery, "ask_chip", asked)
    plug_in(monkeypatch, "/dev/ttyUSB9", UNKNOWN)
    (board,) = find_boards()
    assert (board.known_by, board.devices, board.usb_id) == ("nothing", (), "1234:5678")
    plug_in(monkeypatch, "/dev/ttyS0", None)
    assert find_boards() == ()
    plug_in(monkeypatch, "/dev/ttyACM0", ST_LINK)
    assert find_boards(ask=False)[0].known_by == "USB id"


def test_a_port_in_use_is_listed_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object) -> None:
        raise BoardError("Another program uses the port. Close it.")

    monkeypatch.setattr(discovery, "ask_chip", busy)
    plug_in(monkeypatch, "/dev/ttyACM0", ST_LINK)
    (board,) = find_boards()
    assert board.problem == "Another program uses the port. Close it."
    assert board.known_by == "USB id"


def test_a_virtual_board_is_found_by_its_registry(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_ports, "comports", list)
    board = find_device("h743")
    with virtual_board(board, protocol="rfc2217") as url:
        (found,) = find_boards()
    assert (found.url, found.virtual, found.devices) == (url, True, (board.id,))
    assert found.known_by == "boot loader"

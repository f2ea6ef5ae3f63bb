import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from automcu.boards.flashing import flash_image
from automcu.boards.flashing.stm32_bootloader import BootLoader
from automcu.boards.port import Port, open_port
from automcu.boards.project import sectors_covering
from automcu.errors import BoardError, WrongInputError
from automcu.mcu import Device
from tests.boards.fake_board import Adder, fake_board

START = 0x0800_0000
# Stack, entry, and a program that sleeps for ever: `wfi`, `b .-2`
SLEEPING = bytes.fromhex("00000220 09000008 30bf fde7")
DeviceOf = Callable[..., Device]
StartBoard = Callable[[Device], AbstractContextManager[str]]


@pytest.fixture
def image() -> bytes:
    return SLEEPING + bytes(range(256)) * 100


@pytest.fixture
def port(board_url: str) -> Iterator[Port]:
    with open_port(board_url, 115_200) as opened:
        yield opened


@pytest.fixture
def boot_loader(port: Port) -> BootLoader:
    loader = BootLoader(port)
    assert loader.synchronise()
    return loader


def test_an_image_is_written_verified_and_started(
    board_url: str, device: Device, image: bytes
) -> None:
    seen: list[tuple[str, int, int]] = []
    flash_image(board_url, device, image, lambda *step: seen.append(step))
    stages = [stage for stage, done, total in seen if done == total]
    assert stages == ["erasing", "writing", "verifying"]
    assert [done for _, done, _ in seen[:2]] == [0, 2]  # it covers two sectors of 16 KiB
    with open_port(board_url, 115_200) as port:
        assert not BootLoader(port).synchronise()  # the program runs now


def test_what_was_flashed_can_be_read_back(boot_loader: BootLoader, image: bytes) -> None:
    boot_loader.erase([0])
    boot_loader.write(START, image[:256])
    assert boot_loader.read(START, 256) == image[:256]
    assert boot_loader.read(START + 256, 4) == b"\xff" * 4


def test_programming_only_clears_bits(boot_loader: BootLoader) -> None:
    boot_loader.write(START, b"\xf0" * 4)
    boot_loader.write(START, b"\x3f" * 4)
    assert boot_loader.read(START, 4) == b"\x30" * 4
    boot_loader.erase([0])
    assert boot_loader.read(START, 4) == b"\xff" * 4


def test_erasing_a_sector_leaves_its_neighbours(boot_loader: BootLoader) -> None:
    for offset in (0, 16 * 1024, 32 * 1024):
        boot_loader.write(START + offset, b"data")
    boot_loader.erase([1])
    contents = [boot_loader.read(START + offset, 4) for offset in (0, 16 * 1024, 32 * 1024)]
    assert contents == [b"data", b"\xff" * 4, b"data"]


def test_ram_can_be_written_and_overwritten(boot_loader: BootLoader) -> None:
    boot_loader.write(0x2000_0100, b"\x00" * 8)
    boot_loader.write(0x2000_0100, b"\xff" * 8)
    assert boot_loader.read(0x2000_0100, 8) == b"\xff" * 8


def test_the_part_is_identified(boot_loader: BootLoader) -> None:
    assert boot_loader.device_id() == 0x413
    assert {0x00, 0x02, 0x11, 0x21, 0x31, 0x44} <= boot_loader.commands()
    assert int.from_bytes(boot_loader.read(0x1FFF_7A22, 2), "little") == 512


@pytest.mark.parametrize(
    ("attempt", "what"),
    [
        (lambda loader: loader.read(0x6000_0000, 4), "read"),
        (lambda loader: loader.write(0x1FFF_0000, b"data"), "write"),
        (lambda loader: loader.erase([99]), "erase"),
        (lambda loader: loader.go(0x9000_0000), "go"),
    ],
)
def test_a_refusal_is_named_and_the_boot_loader_lives_on(
    boot_loader: BootLoader, attempt: Callable[[BootLoader], object], what: str
) -> None:
    with pytest.raises(BoardError, match=f"refused to {what}"):
        attempt(boot_loader)
    assert boot_loader.device_id() == 0x413


def test_damaged_commands_are_refused(boot_loader: BootLoader, port: Port) -> None:
    for damaged in (b"\x02\x02", b"\x55\xaa"):
        port.write(damaged)
        assert port.read(1, 1.0) == b"\x1f"
    port.write(b"\x11\xee")
    assert port.read(1, 1.0) == b"\x79"
    port.write(b"\x08\x00\x00\x00\x09")  # the checksum should be 8
    assert port.read(1, 1.0) == b"\x1f"
    assert boot_loader.device_id() == 0x413


def test_nothing_is_answered_before_the_first_synchronisation(port: Port) -> None:
    port.write(b"\x02\xfd\x55")
    assert port.read(1, 0.2) == b""
    port.write(b"\x7f")
    assert port.read(1, 1.0) == b"\x79"


def test_a_boot_loader_that_is_awake_already_is_recognised(boot_loader: BootLoader) -> None:
    assert boot_loader.synchronise()
    assert boot_loader.device_id() == 0x413


def test_a_host_that_hung_up_in_the_middle_of_a_command_leaves_no_trace(
    board_url: str, device: Device, image: bytes
) -> None:
    with open_port(board_url, 115_200) as port:
        loader = BootLoader(port)
        assert loader.synchronise()
        port.write(b"\x31\xce")
        assert port.read(1, 1.0) == b"\x79"
        port.write(b"\x08\x00")
    flash_image(board_url, device, image)


def test_another_part_is_not_flashed(
    board_url: str, device_of: DeviceOf, device: Device, image: bytes
) -> None:
    flashing = device.flashing.model_copy(update={"bootloader_device_id": 0x421})
    with pytest.raises(BoardError, match=r"reports part 0x413, not 0x421"):
        flash_image(board_url, device_of(flashing=flashing.model_dump()), image)
    with open_port(board_url, 115_200) as port:
        loader = BootLoader(port)
        assert loader.synchronise()
        assert loader.read(START, 4) == b"\xff" * 4


def test_flash_that_does_not_keep_its_bits_is_noticed(
    start_board: StartBoard, device: Device, image: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = BootLoader.write

    def worn(loader: BootLoader, address: int, block: bytes) -> None:
        damaged = bytes((block[0] ^ 1,)) + block[1:] if address == START + 1024 else block
        honest(loader, address, damaged)

    monkeypatch.setattr(BootLoader, "write", worn)
    with (
        start_board(device) as url,
        pytest.raises(BoardError, match="0x08000400 does not hold what was written"),
    ):
        flash_image(url, device, image)


def test_firmware_that_runs_is_asked_to_make_way(device: Device, image: bytes) -> None:
    """It is: the fake firmware is asked, and then no boot loader comes, which is the error."""
    firmware = Adder()
    with (
        fake_board(firmware) as url,
        pytest.raises(BoardError, match="left for its boot loader, which does not answer"),
    ):
        flash_image(url, device, image)
    assert [request[0] for request in firmware.requests] == [0x08]


def test_a_silent_board_is_an_error_in_bounded_time(device: Device, image: bytes) -> None:
    started = time.monotonic()
    with (
        fake_board(lambda request: b"") as url,
        pytest.raises(BoardError, match="Neither a boot loader nor automcu's firmware"),
    ):
        flash_image(url, device, image)
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("after_bytes", [0, 1, 40, 300, 2000])
def test_a_connection_that_closes_mid_flash_is_an_error_and_no_hang(
    board_url: str, device: Device, image: bytes, after_bytes: int
) -> None:
    started = time.monotonic()
    with cut_cable(board_url, after_bytes) as url, pytest.raises(BoardError, match="is gone"):
        flash_image(url, device, image)
    assert time.monotonic() - started < 20
    flash_image(board_url, device, image)  # the board has come to no harm


def test_a_boot_loader_that_falls_silent_mid_flash_is_an_error(
    device: Device, image: bytes
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=acknowledge_once, args=(listener,), daemon=True).start()
        url = f"socket://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(BoardError, match="stopped answering"):
            flash_image(url, device, image)


def test_images_for_something_else_are_refused_before_anything_is_erased(
    board_url: str, device: Device
) -> None:
    for wrong in (b"", b"\x7fELF" + bytes(100), bytes(100), SLEEPING[:6]):
        with pytest.raises(WrongInputError, match="vector table"):
            flash_image(board_url, device, wrong)
    with pytest.raises(WrongInputError, match="the flash of Test stm32f4 524288"):
        flash_image(board_url, device, SLEEPING + bytes(512 * 1024))


def test_a_device_whose_only_way_is_not_connected_says_what_to_plug_in(
    device_of: DeviceOf,
) -> None:
    device = device_of(flashing={"methods": ("mass-storage",)})
    with pytest.raises(BoardError, match=r"One drive of the Test stm32f4 is needed.*none"):
        flash_image("loop://", device, SLEEPING)


def test_a_device_without_any_way_is_a_gap_in_its_profile(device_of: DeviceOf) -> None:
    with pytest.raises(WrongInputError, match="names no way to flash it"):
        flash_image("loop://", device_of(flashing={"methods": ()}), SLEEPING)


def test_what_an_attempt_that_failed_has_written_is_kept(
    board_url: str, device: Device, image: bytes
) -> None:
    with cut_cable(board_url, 15_000) as url, pytest.raises(BoardError):
        flash_image(url, device, image)
    written: list[int] = []
    report = flash_image(
        board_url,
        device,
        image,
        lambda stage, done, total: written.append(total) if stage == "writing" else None,
    )
    assert 10_000 < report.kept_bytes < 15_000
    assert report.written_bytes == len(image) - report.kept_bytes == written[0]


@pytest.mark.parametrize("wrong_at", [0, 300, 20_000])
def test_a_sector_that_holds_something_else_is_erased_and_only_that(
    board_url: str, device: Device, image: bytes, wrong_at: int
) -> None:
    with open_port(board_url, 115_200) as port:
        loader = BootLoader(port)
        assert loader.synchronise()
        before = image[:wrong_at] + bytes((image[wrong_at] ^ 1,)) + image[wrong_at + 1 :]
        for offset in range(0, len(image), 256):
            block = before[offset : offset + 256]
            loader.write(START + offset, block + b"\xff" * (-len(block) % 32))
    report = flash_image(board_url, device, image)
    sector = 16 * 1024
    assert report.kept_bytes == (len(image) - sector if wrong_at < sector else sector)


def test_sectors_cover_the_image_and_no_more(device: Device) -> None:
    kib = 1024
    assert sectors_covering(device, 1) == [0]
    assert sectors_covering(device, 16 * kib) == [0]
    assert sectors_covering(device, 16 * kib + 1) == [0, 1]
    assert sectors_covering(device, 129 * kib) == [0, 1, 2, 3, 4, 5]


def test_small_pages_are_erased_in_few_commands(
    start_board: StartBoard, device_of: DeviceOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[int] = []
    erase = BootLoader.erase

    def noted(loader: BootLoader, sectors: list[int]) -> None:
        groups.append(len(sectors))
        erase(loader, sectors)

    monkeypatch.setattr(BootLoader, "erase", noted)
    device = device_of("stm32l4")
    with start_board(device) as url:
        flash_image(url, device, SLEEPING + bytes(200 * 1024))
    assert groups == [32, 19]


@pytest.mark.skipif(shutil.which("stm32flash") is None, reason="stm32flash is not installed")
def test_stm32flash_can_flash_the_virtual_board(
    board_url: str, image: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("stm32flash") / "image.bin"
    file.write_bytes(image)
    with terminal_to(board_url) as terminal:
        result = subprocess.run(
            ["stm32flash", "-m", "8n1", "-w", str(file), "-v", "-g", hex(START), terminal],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Wrote and verified" in result.stdout


def acknowledge_once(listener: socket.socket) -> None:
    host, _ = listener.accept()
    host.recv(1)
    host.sendall(b"\x79")
    while host.recv(4096):
        pass


@contextmanager
def cut_cable(board_url: str, after_bytes: int) -> Iterator[str]:
    """A cable to a board that breaks after so many bytes from the host."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        carrier = threading.Thread(target=carry, args=(listener, address(board_url), after_bytes))
        carrier.start()
        yield f"socket://127.0.0.1:{listener.getsockname()[1]}"
        carrier.join()


def carry(listener: socket.socket, board_address: tuple[str, int], left: int) -> None:
    host, _ = listener.accept()
    with host, socket.create_connection(board_address) as board:
        threading.Thread(target=forward, args=(board, host), daemon=True).start()
        while left > 0 and (received := host.recv(min(left, 4096))):
            board.sendall(received)
            left -= len(received)
        host.shutdown(socket.SHUT_RDWR)
        board.shutdown(socket.SHUT_RDWR)


def address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("socket://").partition(":")
    return host, int(port)


def forward(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while received := source.recv(4096):
            target.sendall(received)


@contextmanager
def terminal_to(board_url: str) -> Iterator[str]:
    """A pseudo-terminal joined to a board, for programs that know no sockets."""
    master, slave = os.openpty()
    tty.setraw(slave)
    with socket.create_connection(address(board_url)) as board:
        threading.Thread(target=copy, args=(master, board.fileno()), daemon=True).start()
        threading.Thread(target=copy, args=(board.fileno(), master), daemon=True).start()
        yield os.ttyname(slave)
        board.shutdown(socket.SHUT_RDWR)


def copy(source: int, target: int) -> None:
    with contextlib.suppress(OSError):
        while received := os.read(source, 4096):
            os.write(target, received)

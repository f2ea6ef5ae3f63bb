"""Reset and BOOT0 over RFC 2217, down to a program that hangs."""

from collections.abc import Iterator

import pytest

from automcu.boards.flashing import BootLoader, flash_image
from automcu.boards.port import Port, open_port
from automcu.boards.virtual import virtual_board
from automcu.boards.virtual.wire import ResetPins
from automcu.mcu import Device
from automcu.toolchains.build import flash_image as image_of_elf
from tests.boards.conftest import Builder
from tests.boards.programs import ECHO

START = 0x0800_0000
# Stack, entry, and a branch to itself, which asks for no input ever.
HANGING = bytes.fromhex("00000220 09000008 fee7 00bf")


@pytest.fixture(scope="module")
def url(device: Device) -> Iterator[str]:
    with virtual_board(device, protocol="rfc2217") as url:
        yield url


@pytest.fixture
def port(url: str) -> Iterator[Port]:
    with open_port(url, 115_200) as opened:
        yield opened


def answers(port: Port) -> bool:
    port.write(b"A")
    return port.read(1, 2.0) == b"B"


def test_a_program_that_hangs_is_reset_into_the_boot_loader(url: str, device: Device) -> None:
    flash_image(url, device, HANGING)
    with open_port(url, 115_200, parity="even") as port:
        assert not BootLoader(port).synchronise()
        port.reset_board(boot0=True)
        assert BootLoader(port).synchronise()


def test_a_board_with_a_hanging_program_is_flashed_without_touching_it(
    url: str, device: Device, build: Builder
) -> None:
    flash_image(url, device, HANGING)
    flash_image(url, device, image_of_elf(build.elf(ECHO)))
    with open_port(url, 115_200) as port:
        assert answers(port)


def test_reset_without_boot0_starts_what_is_in_flash(port: Port, url: str, device: Device) -> None:
    port.reset_board(boot0=True)
    assert not answers(port)
    port.reset_board(boot0=False)
    assert answers(port)


def test_opening_a_port_again_leaves_the_program_alone(url: str) -> None:
    with open_port(url, 115_200) as port:
        port.reset_board(boot0=False)
        port.write(b"n")
        before = port.read(1, 2.0)[0]
    with open_port(url, 115_200) as port:
        port.write(b"n")
        assert port.read(1, 2.0)[0] == before + 1


def test_a_byte_that_telnet_would_take_for_a_command_arrives(port: Port) -> None:
    port.reset_board(boot0=False)
    port.write(b"\xfe\xff\xff\x00")
    assert port.read(4, 2.0) == b"\xff\x00\x00\x01"


@pytest.mark.parametrize("boot0", [True, False])
def test_the_pins_release_the_board_once_and_say_the_level_of_boot0(boot0: bool) -> None:
    released: list[bool] = []
    pins = ResetPins(released.append)
    pins.set(rts=True, dtr=True)  # a port is opened
    pins.set(dtr=False)
    assert released == []
    pins.set(dtr=boot0)
    pins.set(rts=False)
    pins.set(dtr=False)
    assert released == [boot0]


def test_the_boot_loader_listens_at_even_parity_and_any_baud_rate(url: str) -> None:
    for baud_rate in (57_600, 115_200):
        with open_port(url, baud_rate, parity="even") as port:
            port.reset_board(boot0=True)
            port.use_parity("none")
            assert not BootLoader(port).synchronise()
            port.use_parity("even")
            assert BootLoader(port).synchronise()


@pytest.mark.parametrize(
    ("baud_rate", "arrives"), [(9600, False), (115_200, True), (117_000, True)]
)
def test_firmware_receives_only_its_own_baud_rate(url: str, baud_rate: int, arrives: bool) -> None:
    with open_port(url, baud_rate) as port:
        port.reset_board(boot0=False)
        assert answers(port) == arrives


def test_firmware_does_not_understand_a_host_that_stayed_at_even_parity(url: str) -> None:
    with open_port(url, 115_200, parity="even") as port:
        port.reset_board(boot0=False)
        assert not answers(port)
        port.use_parity("none")
        assert answers(port)

"""Whatever a host sends, the boot loader can be reached again by hanging up and starting anew."""

import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automcu.boards.flashing.stm32_bootloader import BootLoader
from automcu.boards.port import open_port
from automcu.boards.virtual import virtual_board
from automcu.mcu import Device


def with_checksum(content: bytes) -> bytes:
    checksum = 0
    for byte in content:
        checksum ^= byte
    return content + bytes((checksum,))


commands = st.sampled_from([0x00, 0x01, 0x02, 0x11, 0x31, 0x44, 0x63, 0x7F, 0x92]).map(
    lambda code: bytes((code, code ^ 0xFF))
)
addresses = st.sampled_from([0x0800_0000, 0x0807_FFFF, 0x2000_0000, 0x1FFF_0000, 0xFFFF_FFFF]).map(
    lambda address: with_checksum(address.to_bytes(4, "big"))
)
pieces = st.lists(commands | addresses | st.binary(max_size=20), max_size=12).map(b"".join)


@pytest.fixture(scope="module")
def url(device: Device) -> Iterator[str]:
    with virtual_board(device) as url:
        yield url


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(sent=pieces)
def test_the_boot_loader_survives_any_bytes(url: str, sent: bytes) -> None:
    host, _, number = url.removeprefix("socket://").partition(":")
    with socket.create_connection((host, int(number))) as connection:
        connection.sendall(b"\x7f" + sent)
    with open_port(url, 115_200) as port:
        loader = BootLoader(port)
        assert loader.synchronise(attempts=3)
        assert loader.device_id() == 0x413

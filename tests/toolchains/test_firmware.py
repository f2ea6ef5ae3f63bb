import re

import pytest

from automcu.errors import WrongInputError
from automcu.mcu import Device, all_devices, find_device
from automcu.toolchains import firmware_sources, render_board_header, render_linker_script

BUILDABLE = [device for device in all_devices().values() if device.family.startswith("stm32")]


def macros(device: Device) -> dict[str, str]:
    return dict(re.findall(r"#define (\w+) (.+)", render_board_header(device)))


@pytest.mark.parametrize("device", BUILDABLE, ids=lambda device: device.id)
def test_file_names_are_unique_so_that_one_folder_holds_them(device: Device) -> None:
    names = [path.name for path in firmware_sources(device)]
    assert len(names) == len(set(names))
    assert {"main.c", "startup.c", "usart.c", "link.c"} <= set(names)
    assert sum(name.startswith("clock_") for name in names) == 1
    assert ("caches.c" in names) == (device.core == "cortex-m7")


def test_the_board_header_says_what_the_profile_says(f407: Device) -> None:
    board = macros(f407)
    assert board["BOARD_NAME"] == '"stm32f407g-disc1"'
    assert board["BOARD_CORE_HZ"] == "168000000u"
    assert board["BOARD_FLASH_WAIT_STATES"] == "5u"
    assert board["BOARD_USART_BASE"] == "0x40004800u"
    assert (board["BOARD_TRANSMIT_PORT"], board["BOARD_TRANSMIT_PIN"]) == ("1u", "10u")
    assert board["BOARD_BOOT_LOADER_ADDRESS"] == "0x1FFF0000u"
    assert "BOARD_OSCILLATOR_IS_CRYSTAL" in board
    assert "BOARD_HAS_CACHES" not in board


def test_low_power_uart_and_caches_are_passed_to_the_ports() -> None:
    assert "BOARD_USART_IS_LOW_POWER" in macros(find_device("nucleo-l4r5zi"))
    assert "BOARD_HAS_CACHES" in macros(find_device("stm32f746g-disco"))


def test_a_pin_that_is_none_is_reported(f407: Device) -> None:
    serial = f407.serial.model_copy(update={"transmit_pin": "GPIO43"})
    with pytest.raises(WrongInputError, match=r"'GPIO43'.*PB10"):
        render_board_header(f407.model_copy(update={"serial": serial}))


def test_pins_of_a_nordic_part_are_numbered_by_port() -> None:
    board = macros(find_device("nrf5340-dk"))
    assert (board["BOARD_TRANSMIT_PORT"], board["BOARD_TRANSMIT_PIN"]) == ("0u", "20u")
    assert board["BOARD_UARTE_BASE"] == "0x50008000u"
    assert board["BOARD_UARTE_BAUD"] == "0x01D60000u"


@pytest.mark.parametrize(
    ("change", "message"),
    [({"transmit_pin": "PB10"}, r"'PB10'.*P0\.06"), ({"baud_rate": 123_456}, r"123456.*115200")],
)
def test_what_a_nordic_part_cannot_have_is_reported(
    change: dict[str, object], message: str
) -> None:
    device = find_device("nrf5340-dk")
    serial = device.serial.model_copy(update=change)
    with pytest.raises(WrongInputError, match=message):
        render_board_header(device.model_copy(update={"serial": serial}))


@pytest.mark.parametrize("device", BUILDABLE, ids=lambda device: device.id)
def test_the_linker_script_has_the_profiles_memories(device: Device) -> None:
    script = render_linker_script(device)
    regions = re.findall(r"^ +(\w+) \(\w+\) : ORIGIN = (\w+), LENGTH = (\d+)$", script, re.M)
    assert [(name, int(origin, 16), int(length)) for name, origin, length in regions] == [
        (region.name, region.address, region.size) for region in device.memory
    ]


@pytest.mark.parametrize("stack_bytes", [0, -8, 2052, 65_544])
def test_an_impossible_stack_is_reported(f407: Device, stack_bytes: int) -> None:
    with pytest.raises(WrongInputError, match="multiple of 8 up to 65536"):
        render_linker_script(f407, stack_bytes)

from pathlib import Path

import pytest

from automcu.errors import WrongInputError
from automcu.mcu import all_devices, find_device
from automcu.records import resource_folder


@pytest.mark.parametrize(
    "name, device_id",
    [
        ("stm32f407g-disc1", "stm32f407g-disc1"),
        ("f407", "stm32f407g-disc1"),
        ("F407", "stm32f407g-disc1"),
        ("STM32F407", "stm32f407g-disc1"),
        ("stm32f407 discovery", "stm32f407g-disc1"),
        ("STM32F407 discovery board", "stm32f407g-disc1"),
        ("the STM32F407 Discovery board", "stm32f407g-disc1"),
        ("STM32F407VGT6", "stm32f407g-disc1"),
        ("STM32F407VET6", "stm32f407vet6"),
        ("stm32f407ve", "stm32f407vet6"),
        ("f746", "stm32f746g-disco"),
        ("STM32F746NG", "stm32f746g-disco"),
        ("NUCLEO_L4R5ZI", "nucleo-l4r5zi"),
        ("Nucleo L4R5ZI", "nucleo-l4r5zi"),
        ("ESP32-S3", "esp32-s3-devkitc-1"),
        ("esp32s3", "esp32-s3-devkitc-1"),
    ],
)
def test_a_board_is_found_by_any_of_its_names(name: str, device_id: str) -> None:
    assert find_device(name).id == device_id


def test_every_id_and_alias_means_one_board() -> None:
    for device in all_devices().values():
        for name in (device.id, device.name, device.mcu, *device.aliases):
            assert find_device(name).id == device.id


def test_an_unknown_name_is_reported_with_the_nearest() -> None:
    with pytest.raises(WrongInputError, match=r"no device 'stm32f747'.*stm32f746g-disco"):
        find_device("stm32f747")


def test_a_name_like_no_other_lists_all_boards() -> None:
    with pytest.raises(WrongInputError) as caught:
        find_device("zzz")
    assert all(device_id in str(caught.value) for device_id in all_devices())


def test_a_beginning_that_several_boards_share_lists_them() -> None:
    with pytest.raises(WrongInputError, match=r"'stm32f4' may be .*stm32f407g-disc1"):
        find_device("stm32f4")


@pytest.mark.parametrize("name", ["", " ", "f", "--"])
def test_too_little_of_a_name_finds_nothing(name: str) -> None:
    with pytest.raises(WrongInputError, match="no device"):
        find_device(name)


def test_a_users_own_folder_adds_and_replaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = (resource_folder("hw_profiles") / "nucleo-l4r5zi.toml").read_text()
    mine = shipped.replace('id = "nucleo-l4r5zi"', 'id = "my-board"').replace(
        'aliases = ["l4r5", "l4r5zi", "stm32l4r5", "stm32l4r5zi",', 'aliases = ["mine",'
    )
    (tmp_path / "my-board.toml").write_text(mine)
    (tmp_path / "nucleo-l4r5zi.toml").write_text(shipped.replace("115_200", "57_600"))
    monkeypatch.setenv("AUTOMCU_PROFILES", str(tmp_path))
    assert find_device("mine").id == "my-board"
    assert find_device("l4r5").serial.baud_rate == 57_600
    assert list(all_devices()) == sorted(all_devices())


def test_a_users_folder_that_is_none_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOMCU_PROFILES", str(tmp_path / "absent"))
    with pytest.raises(WrongInputError, match="AUTOMCU_PROFILES"):
        all_devices()

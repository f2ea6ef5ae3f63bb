import tomllib
from pathlib import Path

import pytest

from automcu.errors import WrongInputError
from automcu.mcu import all_devices, find_device, load_profile
from automcu.mcu.find import save_figures
from automcu.mcu.profile import FittedFigures, Latency
from automcu.records import resource_folder

GOOD = (resource_folder("hw_profiles") / "stm32f407g-disc1.toml").read_text()


def write(folder: Path, text: str, name: str = "stm32f407g-disc1.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_profile_reads_back_as_written(tmp_path: Path) -> None:
    device = load_profile(write(tmp_path, GOOD))
    assert (device.mcu, device.core, device.clock_hz) == ("STM32F407VGT6", "cortex-m4", 168_000_000)
    assert (device.flash_bytes, device.ram_bytes) == (1 << 20, 192 << 10)
    assert device.flashing.flash_sector_bytes[:6] == (16384, 16384, 16384, 16384, 65536, 131072)
    assert device.region_for("arena").name == "sram"


@pytest.mark.parametrize(
    "old, new, key, expected",
    [
        ("clock_hz = 168_000_000", "clock_hz = 900_000_000", "clock_hz", "to 180000000"),
        ("clock_hz = 168_000_000", 'clock_hz = "fast"', "clock_hz", "integer"),
        ('core = "cortex-m4"', 'core = "cortex-m7"', "core", "stm32f4 has a cortex-m4"),
        ('core = "cortex-m4"', 'core = "cortex-m0"', "core", "has a cortex-m4"),
        ("wait_states = 5", "wait_states = 5\nwaits = 5", "flash_timing.waits", "not permitted"),
        ("wait_states = 5", "", "flash_timing.wait_states", "required"),
        ("wait_states = 5", "wait_states = -1", "flash_timing", "negative"),
        ("size = 131_072", "size = 0", "memory[1].size", "1024 to"),
        ("size = 131_072", "size = 128", "memory[1].size", "1024 to 16777216 bytes"),
        ("size = 131_072", "size = 131_072_000_000", "memory[1].size", "1024 to"),
        ("address = 0x1000_0000", "address = 0x2000_8000", "memory", "'sram' and 'ccm' overlap"),
        ("address = 0x1000_0000", "address = 0xFFFF_FFF0", "memory[2].address", "32 address bits"),
        ('name = "ccm"', 'name = "sram"', "memory", "two regions"),
        ('name = "ccm"', 'name = "CCM ram"', "memory[2].name", "lower-case"),
        ('holds = ["arena"]', "holds = []", "memory", "no region holds 'arena'"),
        ('["code", "weights"]', '["code", "weights", "data"]', "memory[0].holds", "hold data"),
        ("count = 7", "count = 6", "flashing.flash_sectors", "1048576 bytes"),
        ("bootloader_device_id = 0x413", "", "flashing.bootloader_device_id", "needs it"),
        ("baud_rate = 115_200", "baud_rate = 50", "serial.baud_rate", "1200"),
        ("hz = 8_000_000", "hz = 0", "oscillator.hz", "hertz, 1000000 to"),
        ("hz = 8_000_000", "hz = 8", "oscillator.hz", "hertz, 1000000 to"),
        ("milliampere = 40.0", "milliampere = 0", "power.active_milliampere", "0.1 to 1000 milli"),
        ("milliampere = 40.0", "milliampere = nan", "power.active_milliampere", "0.1 to 1000"),
        ("supply_volt = 3.3", "supply_volt = 3300.0", "power.supply_volt", "1 to 5.5 volt"),
        ("clock_hz = 168_000_000", "clock_hz = 168", "clock_hz", "expected 1000000 to"),
        ('family = "stm32f4"', 'family = "stm32f1"', "family", "stm32f4, stm32f7"),
        ('id = "stm32f4', 'colour = "red"\nid = "stm32f4', "colour", "not permitted"),
        ('id = "stm32f407g-disc1"', 'id = "another"', "id", "stm32f407g-disc1"),
    ],
)
def test_a_wrong_figure_is_reported_with_file_key_and_expectation(
    tmp_path: Path, old: str, new: str, key: str, expected: str
) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(WrongInputError) as caught:
        load_profile(path)
    message = str(caught.value)
    assert str(path) in message
    assert f": {key}" in message
    assert expected in message


def test_a_file_that_is_not_toml_is_reported(tmp_path: Path) -> None:
    with pytest.raises(WrongInputError, match=r"broken\.toml is not TOML.*line 1"):
        load_profile(write(tmp_path, "= 3", "broken.toml"))


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(WrongInputError, match=r"nothing\.toml cannot be read"):
        load_profile(tmp_path / "nothing.toml")


FIGURES = """
[[latency]]
source = "virtual"
date = "2026-01-01"
compiler = "gcc"
compiler_version = "12"
residual_percent = 5.0

[latency.coefficients]
"add/words" = 3.0
"""


@pytest.mark.parametrize(
    "old, new, key, expected",
    [
        ('"add/words" = 3.0', '"add/words" = -3.0', 'latency[0].coefficients."add/words"', "0 or"),
        (
            '"add/words" = 3.0',
            '"add/words" = inf',
            'latency[0].coefficients."add/words"',
            "got inf",
        ),
        ('"add/words" = 3.0', "", "latency[0].coefficients", "there are none"),
        (
            "residual_percent = 5.0",
            "residual_percent = -1.0",
            "latency[0].residual_percent",
            "0 or",
        ),
        ('source = "virtual"', 'source = "guessed"', "latency[0].source", "'measured'"),
        ('compiler = "gcc"', 'compiler = "iar"', "latency[0].compiler", "'gcc' or 'zig'"),
        ("[latency.coefficients]", "[latency.cycles]", "latency[0].coefficients", "required"),
    ],
)
def test_wrong_latency_figures_are_reported_with_file_key_and_expectation(
    tmp_path: Path, old: str, new: str, key: str, expected: str
) -> None:
    assert load_profile(write(tmp_path, GOOD + FIGURES)).latency
    path = write(tmp_path, GOOD + FIGURES.replace(old, new))
    with pytest.raises(WrongInputError) as caught:
        load_profile(path)
    assert f"{path}: {key}" in str(caught.value)
    assert expected in str(caught.value)


def test_two_latency_tables_of_one_compiler_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + FIGURES + FIGURES)
    with pytest.raises(WrongInputError, match="two tables are of gcc"):
        load_profile(path)


def latency(**changes: object) -> Latency:
    figures = tomllib.loads(FIGURES)["latency"][0]
    return Latency.model_validate({**figures, **changes})


def test_figures_that_are_fitted_lie_beside_the_profile_and_hold_before_its_own_tables(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, GOOD + FIGURES)
    save_figures(tmp_path, path.stem, latency(compiler="zig"), latency(date="2030-01-01"))
    save_figures(tmp_path, path.stem, latency(date="2031-01-01"))
    loaded = {one.compiler: one.date for one in load_profile(path).latency}
    assert loaded == {"gcc": "2031-01-01", "zig": "2026-01-01"}


def test_fitted_coefficients_have_four_significant_digits(tmp_path: Path) -> None:
    path = save_figures(tmp_path, "a-board", latency(coefficients={"b/words": 1.23456, "a/x": 7}))
    assert FittedFigures.load(path).latency[0].coefficients == {"a/x": 7.0, "b/words": 1.235}


def test_damaged_figures_are_reported_with_their_file(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    fitted = save_figures(tmp_path, path.stem, latency(coefficients={"add/words": -1.0}))
    with pytest.raises(WrongInputError, match=rf"{fitted}: latency\[0\].*0 or more"):
        load_profile(path)
    fitted.write_text("{")
    with pytest.raises(WrongInputError, match=rf"{fitted} is not a valid"):
        load_profile(path)


def test_a_users_profile_has_the_shipped_figures_until_there_are_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = load_profile(resource_folder("hw_profiles") / "stm32f407g-disc1.toml")
    monkeypatch.setenv("AUTOMCU_PROFILES", str(tmp_path))
    write(tmp_path, GOOD)
    assert find_device(shipped.id).latency == shipped.latency
    write(tmp_path, GOOD + FIGURES)  # as `automcu calibrate` once wrote them
    assert {one.compiler: one.date for one in find_device(shipped.id).latency} == {
        **{one.compiler: one.date for one in shipped.latency},
        "gcc": "2026-01-01",
    }
    save_figures(tmp_path, shipped.id, latency(date="2030-01-01"))
    assert all_devices()[shipped.id] == find_device(shipped.id)
    assert "2030-01-01" in {one.date for one in find_device(shipped.id).latency}

from pathlib import Path
from typing import Any

import pytest

from automcu.brief import draft_from_settings, read_brief_file
from automcu.errors import WrongInputError


def test_a_toml_file_says_the_same_without_prose(tmp_path: Path) -> None:
    path = tmp_path / "brief.toml"
    path.write_text(
        'device = "f407"\ndata = "digits"\nmax_latency_ms = 20\nmax_ram = "64 KB"\n'
        'max_flash = 262144\nmin_accuracy = "97 %"\n'
    )
    settings = read_brief_file(path)
    draft = draft_from_settings(**settings)
    assert draft.boards == ("f407",)
    assert draft.max_ram_bytes == 65536
    assert draft.max_flash_bytes == 262144
    assert draft.max_latency_ms == 20.0
    assert draft.min_accuracy == pytest.approx(0.97)


def test_a_data_folder_is_found_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "flowers").mkdir()
    (tmp_path / "brief.toml").write_text('data = "flowers"\n')
    assert read_brief_file(tmp_path / "brief.toml")["data"] == str(tmp_path / "flowers")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("latency = 3", "unknown key 'latency'"),
        ("device = ", "is not a TOML file"),
        ("\xff", "is not a TOML file"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "brief.toml"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(WrongInputError, match=message):
        read_brief_file(path)


def test_a_missing_file_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(WrongInputError, match="cannot be read"):
        read_brief_file(tmp_path / "none.toml")


@pytest.mark.parametrize(
    "settings",
    [
        {"max_latency_ms": 0},
        {"max_latency_ms": "20"},
        {"max_latency_ms": True},
        {"max_ram": "a lot"},
        {"max_ram": -1},
        {"max_flash": 0},
        {"max_flash": "64 KB of RAM"},
        {"max_energy": 0},
        {"max_energy": "2 mW"},
        {"max_energy": "-1 mJ"},
        {"min_accuracy": "very good"},
        {"min_accuracy": 0},
        {"min_accuracy": 101},
        {"family": 5},
        {"data": ""},
        {"data": 7},
    ],
)
def test_a_value_out_of_range_is_named(settings: dict[str, Any]) -> None:
    with pytest.raises(WrongInputError, match=next(iter(settings))):
        draft_from_settings(**settings)


@pytest.mark.parametrize("value", ["2 mJ", "2000 µJ", "0.002 J", "2", 2, 2.0])
def test_an_energy_may_have_a_unit_or_be_millijoule(value: str | float) -> None:
    assert draft_from_settings(max_energy=value).max_energy_mj == pytest.approx(2.0)


@pytest.mark.parametrize("value", ["97%", "97 %", "97", "0.97", 0.97, 97])
def test_an_accuracy_may_be_a_share_or_a_percentage(value: str | float) -> None:
    assert draft_from_settings(min_accuracy=value).min_accuracy == pytest.approx(0.97)

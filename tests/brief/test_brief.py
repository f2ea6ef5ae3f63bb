from pathlib import Path
from typing import Any

import pytest

from automcu.brief import (
    Brief,
    Draft,
    Problem,
    complete,
    describe,
    draft_from_settings,
    nearest_boards,
    override,
    read_brief_file,
)
from automcu.errors import WrongInputError

FULL = Draft(text="x", boards=("f4",), dataset="digits", max_latency_ms=20.0)


def test_a_full_draft_becomes_a_brief() -> None:
    assert complete(FULL) == Brief(
        text="x", device="f4", dataset="digits", max_latency_ms=20.0, unused=()
    )


def test_what_flags_say_replaces_what_the_sentence_said() -> None:
    merged = override(FULL, Draft(boards=("l4",), max_latency_ms=5.0, min_accuracy=0.9))
    assert complete(merged) == Brief(
        text="x", device="l4", dataset="digits", max_latency_ms=5.0, min_accuracy=0.9, unused=()
    )


def test_a_flag_settles_an_unknown_board() -> None:
    draft = Draft(unknown_boards=("stm32f999",), dataset="digits")
    assert override(draft, Draft(boards=("f4",))).unknown_boards == ()


def test_everything_that_is_missing_is_asked_for_at_once() -> None:
    with pytest.raises(WrongInputError, match=r"Which board.*--device.*--data") as caught:
        complete(Draft())
    assert caught.value.exit_code == 2


def test_missing_data_are_asked_for() -> None:
    with pytest.raises(WrongInputError, match="Which data"):
        complete(Draft(boards=("f4",)))


def test_two_boards_are_a_question_not_a_guess() -> None:
    with pytest.raises(WrongInputError, match="Which of these boards is meant: f4, l4"):
        complete(Draft(boards=("f4", "l4"), dataset="digits"))


def test_an_unknown_board_brings_the_nearest_names() -> None:
    boards = {"stm32f407g-disc1": ("STM32F407VGT6",), "nucleo-l4r5zi": ()}
    near = nearest_boards(["stm32f408"], boards)
    assert near[0] == "stm32f407g-disc1"
    with pytest.raises(WrongInputError, match=r"'stm32f408' \(nearest: stm32f407g-disc1"):
        complete(Draft(unknown_boards=("stm32f408",), dataset="digits"), near)


def test_where_no_name_is_near_the_known_boards_are_named() -> None:
    draft = Draft(unknown_boards=("Raspberry Pi Pico",), dataset="digits")
    with pytest.raises(WrongInputError, match=r"'Raspberry Pi Pico' \(known: f4, l4\)"):
        complete(draft, (), ("f4", "l4"))


def test_a_board_that_is_not_known_beside_one_that_is_stops_the_run() -> None:
    draft = Draft(boards=("f4",), unknown_boards=("Teensy 4.1",), dataset="digits")
    with pytest.raises(WrongInputError, match=r"'Teensy 4.1', but f4 is"):
        complete(draft)
    assert complete(override(draft, Draft(boards=("f4",)))).device == "f4"


def test_a_limit_that_was_not_read_stops_the_run_and_is_no_dash() -> None:
    problem = Problem(words="at most 50 kilobytes", message="RAM or flash? Say which.")
    draft = FULL.model_copy(update={"problems": (problem,), "unused": ("real time",)})
    with pytest.raises(WrongInputError, match=r"RAM or flash\? Say which\."):
        complete(draft)
    rows = describe(draft)
    assert ("not read", "at most 50 kilobytes") in rows
    assert ("not used", "real time") in rows


def test_words_that_were_not_used_stay_with_the_brief() -> None:
    brief = complete(FULL.model_copy(update={"unused": ("real time",)}))
    assert brief.unused == ("real time",)


def test_a_brief_that_does_not_know_its_unused_words_asks_the_same_but_is_not_read_whole() -> None:
    new = complete(FULL)
    old = Brief.model_validate_json(new.model_dump_json(exclude={"unused", "notes"}))
    assert old.asks_the_same(new) and new.asks_the_same(old)
    assert new.is_read_whole and not old.is_read_whole
    assert not new.asks_the_same(new.model_copy(update={"max_latency_ms": 5.0}))


def test_small_limits_are_written_in_their_own_units() -> None:
    rows = dict(describe(Draft(max_latency_ms=1e-6, max_ram_bytes=1, max_flash_bytes=512)))
    assert rows["latency"] == "at most 1 ns"
    assert rows["RAM"] == "at most 1 byte"
    assert rows["flash"] == "at most 512 bytes"


def test_nothing_resembles_no_words() -> None:
    assert nearest_boards([], {"f4": ()}) == ()


def test_a_description_has_a_dash_for_what_was_not_said() -> None:
    rows = dict(describe(FULL))
    assert rows["latency"] == "at most 20 ms"
    assert rows["RAM"] == "–"
    assert dict(describe(complete(FULL)))["board"] == "f4"


def test_of_many_groups_of_words_a_few_are_shown_and_the_rest_is_counted() -> None:
    groups = tuple(f"word {number}" for number in range(40))
    problems = tuple(Problem(words=words, message=f"{words} is unclear.") for words in groups)
    rows = describe(Draft(unused=(*groups, *groups), problems=problems))
    assert [words for what, words in rows if what == "not used"][-1] == "and 28 more"
    assert [what for what, _ in rows].count("not read") == 13
    with pytest.raises(WrongInputError) as refusal:
        complete(Draft(boards=("f4",), dataset="digits", problems=problems))
    assert str(refusal.value).endswith("word 5 is unclear. And 34 more could not be read.")


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

import pytest

from automcu.brief import Brief, Draft, Problem, complete, describe, nearest_boards, override
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

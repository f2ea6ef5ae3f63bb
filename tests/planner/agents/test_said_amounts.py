import pytest
from hypothesis import given
from hypothesis import strategies as st

from automcu.planner.agents.said_amounts import Entry, Unit, numbers_in, said_amount


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ("sixty-four kilobytes", [64]),
        ("two hundred and fifty milliseconds", [250]),
        ("a thousand and one", [1001]),
        ("1,024 bytes or 2.5 KB", [1024, 2.5]),
        ("a fiftieth of a second", [0.02]),
        ("nothing", []),
    ],
)
def test_numbers_are_read_in_digits_and_in_words(words: str, numbers: list[float]) -> None:
    assert sorted(numbers_in(words)) == sorted(numbers)


@pytest.mark.parametrize(
    ("entry", "amount", "unit", "words", "value"),
    [
        ("latency", 20, "ms", "twenty milliseconds at the very most", 20.0),
        ("latency", 20, "ms", "in a fiftieth of a second", 20.0),
        ("latency", 0.02, "s", "in a fiftieth of a second", 20.0),
        ("latency", 25, "per_second", "twenty-five times per second", 40.0),
        ("latency", 20, "ms", "unter 20 Millisekunden", 20.0),
        ("ram", 64, "KB", "sixty-four kilobytes of working memory", 65536.0),
        ("flash", 1, "MB", "one megabyte of flash", 1048576.0),
        ("accuracy", 97, "percent", "right in ninety-seven percent of cases", 0.97),
        ("accuracy", 3, "percent_error", "three percent errors at most", 0.97),
    ],
)
def test_an_amount_that_the_words_say_is_taken(
    entry: Entry, amount: float, unit: Unit, words: str, value: float
) -> None:
    assert said_amount(entry, amount, unit, words) == pytest.approx(value)


@pytest.mark.parametrize(
    ("entry", "amount", "unit", "words"),
    [
        ("latency", 30, "ms", "under 20 ms"),  # another figure
        ("latency", 20, "s", "under 20 ms"),  # another unit
        ("latency", 64, "ms", "64 KB of RAM"),  # another entry
        ("latency", 2, "s", "2 s of sound"),  # no limit
        ("flash", 64, "KB", "64 KB of RAM"),
        ("ram", 256, "KB", "256 KB of flash memory"),
        ("ram", 20, "percent", "20 % of the RAM"),
        ("accuracy", 20, "percent", "20 % of the RAM"),
        ("accuracy", 3, "percent", "a 3 % error rate"),
        ("accuracy", 400, "percent", "400 % accuracy"),
        ("ram", 999999999, "MB", "999999999 MB of RAM"),
        ("latency", 0, "ms", "0 ms"),
    ],
)
def test_what_the_words_do_not_say_of_that_entry_is_dropped(
    entry: Entry, amount: float, unit: Unit, words: str
) -> None:
    assert said_amount(entry, amount, unit, words) is None


@given(
    entry=st.sampled_from(["latency", "ram", "flash", "accuracy"]),
    amount=st.floats(allow_nan=False, allow_infinity=False),
    unit=st.sampled_from(["ms", "us", "s", "per_second", "B", "KB", "MB", "percent", "fraction"]),
    words=st.text(alphabet=st.characters(exclude_categories=["Nd"])),
)
def test_words_without_a_number_say_no_amount(
    entry: Entry, amount: float, unit: Unit, words: str
) -> None:
    if not numbers_in(words):
        assert said_amount(entry, amount, unit, words) is None

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automcu.planner.agents.said_amounts import Entry, Unit, said_amount


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
        ("ram", 64, "KB", "sixty-four kilobytes are all the memory there is", 65536.0),
        ("energy", 0.5, "mJ", "half a millijoule at most", 0.5),
        ("energy", 500, "uJ", "500 µJ each", 0.5),
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
        ("energy", 2, "J", "2 mJ per inference"),  # another unit
        ("energy", 2, "mJ", "2 mJ per layer"),
        ("ram", 50, "KB", "at most 50 kilobytes"),  # or flash
        ("accuracy", 97, "percent", "at most 97 % accuracy"),  # the wrong way round
    ],
)
def test_what_the_words_do_not_say_of_that_entry_is_dropped(
    entry: Entry, amount: float, unit: Unit, words: str
) -> None:
    assert said_amount(entry, amount, unit, words) is None


@given(
    entry=st.sampled_from(["latency", "energy", "ram", "flash", "accuracy"]),
    amount=st.floats(allow_nan=False, allow_infinity=False),
    unit=st.sampled_from(["ms", "us", "s", "per_second", "mJ", "B", "KB", "MB", "percent"]),
    words=st.text(),
)
def test_whatever_the_words_are_what_is_taken_is_a_limit(
    entry: Entry, amount: float, unit: Unit, words: str
) -> None:
    found = said_amount(entry, amount, unit, words)
    assert found is None or found > 0.0

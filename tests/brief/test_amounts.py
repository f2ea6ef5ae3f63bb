from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automcu.brief.amounts import find_amounts, has_decimal_comma, single_amount, tokenise
from automcu.brief.vocabulary import MS_PER_DAY, Dimension


def only(text: str) -> tuple[str, float | None]:
    (found,) = find_amounts(tokenise(text), has_decimal_comma(text))
    return found.dimension, found.value


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("20 ms", "time", 20.0),
        ("20ms", "time", 20.0),
        ("20-ms", "time", 20.0),
        ("3 ns", "time", 3e-6),
        ("7 µs", "time", 7e-3),
        ("7 μs", "time", 7e-3),
        ("7us", "time", 7e-3),
        (".5 s", "time", 500.0),
        ("1e-3 s", "time", 1.0),
        ("zehn Millisekunden", "time", 10.0),
        ("siebenundzwanzig Millisekunden", "time", 27.0),
        ("zweihundertfünfzig Mikrosekunden", "time", 0.25),
        ("two hundred and fifty milliseconds", "time", 250.0),
        ("a hundred ms", "time", 100.0),
        ("half a second", "time", 500.0),
        ("a fiftieth of a second", "time", 20.0),
        ("3 weeks", "time", 21 * MS_PER_DAY),
        ("20 ms per inference", "time", 20.0),
        ("20 ms/frame", "time", 20.0),
        ("64 KB", "memory", 65536.0),
        ("64 kilobytes", "memory", 65536.0),
        ("64 Ko", "memory", 65536.0),
        ("64 k bytes", "memory", 65536.0),
        ("64k", "thousand", 65536.0),
        ("1,5 MB", "memory", 1.5 * 2**20),
        ("1½ MB", "memory", 1.5 * 2**20),
        ("1 1/2 MB", "memory", 1.5 * 2**20),
        ("3/4 MiB", "memory", 0.75 * 2**20),
        ("one and a half megabytes", "memory", 1.5 * 2**20),
        ("three quarters of a megabyte", "memory", 0.75 * 2**20),
        ("ein halbes Megabyte", "memory", 0.5 * 2**20),
        ("anderthalb Megabyte", "memory", 1.5 * 2**20),
        ("100,000 bytes", "memory", 1e5),
        ("100 000 bytes", "memory", 1e5),
        ("100\u202f000 bytes", "memory", 1e5),
        ("100_000 B", "memory", 1e5),
        ("100'000 bytes", "memory", 1e5),
        ("1.000.000 bytes", "memory", 1e6),
        ("1 million bytes", "memory", 1e6),
        ("10 MB/s", "bandwidth", 10 * 2.0**20),
        ("97.5 %", "share", 97.5),
        ("97 per cent", "share", 97.0),
        ("97 pour cent", "share", 97.0),
        ("97 Prozent", "share", 97.0),
        ("nine out of ten", "share", 90.0),
        ("9 von 10", "share", 90.0),
        ("one error in 50", "share", 2.0),
        ("2 mJ", "energy", 2.0),
        ("250 µJ", "energy", 0.25),
        ("0.5 J", "energy", 500.0),
        ("1 mWh", "energy", 3600.0),
        ("5 mW", "power", 5.0),
        ("86.4 J per day", "power", 1.0),
        ("30 fps", "rate", 30.0),
        ("25Hz", "rate", 25.0),
        ("10 frames per second", "rate", 10.0),
        ("10 Bilder pro Sekunde", "rate", 10.0),
        ("4 times a minute", "rate", 4 / 60),
        ("once an hour", "rate", 1 / 3600),
        ("30/s", "rate", 30.0),
        ("one inference every 10 seconds", "rate", 0.1),
        ("every 5 minutes", "rate", 1 / 300),
        ("alle 10 Sekunden", "rate", 0.1),
        ("toutes les 2 minutes", "rate", 1 / 120),
        ("16 kHz", "frequency", 16e3),
        ("500 mAh", "charge", 500.0),
        ("3.7 V", "voltage", 3.7),
        ("-5 ms", "time", -5.0),
        ("42", "count", 42.0),
        ("1.2.3", "count", None),
        ("ten twenty ms", "time", None),
        ("28x28x3", "other", None),
    ],
)
def test_an_amount_is_read_in_the_unit_of_its_dimension(
    text: str, dimension: Dimension, value: float | None
) -> None:
    found = only(text)
    assert found[0] == dimension
    assert found[1] == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.500 bytes", 1.5),
        ("höchstens 1.500 Bytes", 1500.0),
        ("höchstens 1,500 Bytes", 1.5),
        ("1,500 bytes", 1500.0),
        ("höchstens 0.250 Bytes", 0.25),
        ("moins de 1.500,5 octets", 1500.5),
    ],
)
def test_a_point_before_three_digits_is_read_as_the_language_of_the_text_writes_it(
    text: str, value: float
) -> None:
    assert only(text) == ("memory", pytest.approx(value))


@pytest.mark.parametrize("text", ["int8", "f407", "CR2032", "LeNet-5", "top-1", "a network", ""])
def test_names_with_digits_and_articles_are_no_amounts(text: str) -> None:
    assert find_amounts(tokenise(text)) == ()


@pytest.mark.parametrize(
    ("text", "meant"),
    [("20 miliseconds", "milliseconds"), ("64 kilobites", "kilobytes"), ("1 MJ", "mJ")],
)
def test_a_unit_that_is_not_known_brings_the_one_that_was_perhaps_meant(
    text: str, meant: str
) -> None:
    (found,) = find_amounts(tokenise(text))
    assert found.hint == meant


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("64 KB", "memory", 65536.0),
        ("64k", "memory", 65536.0),
        ("2 mJ", "energy", 2.0),
        ("2 mJ of energy", "energy", None),
        ("20 ms", "memory", None),
        ("", "memory", None),
    ],
)
def test_the_value_of_a_flag_is_one_amount_and_nothing_else(
    text: str, dimension: Dimension, value: float | None
) -> None:
    assert single_amount(text, dimension) == value


@given(st.integers(1, 999_999_999), st.sampled_from([",", " ", "'", "_", "\u202f"]))
def test_an_integer_comes_back_whatever_groups_its_digits(number: int, separator: str) -> None:
    written = f"{number:,}".replace(",", separator)
    assert only(f"{written} bytes") == ("memory", float(number))


@given(st.text())
def test_tokens_and_what_is_between_them_are_the_whole_text(text: str) -> None:
    tokens = tokenise(text)
    assert all(one.end <= other.start for one, other in pairwise(tokens))
    assert all(text[token.start : token.end] == token.text for token in tokens)
    covered = {at for token in tokens for at in range(token.start, token.end)}
    assert all(text[at].isspace() for at in range(len(text)) if at not in covered)

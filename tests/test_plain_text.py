import subprocess
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automcu.errors import c_comment, one_line, printable, with_article

ANY_TEXT = st.text(st.characters(), max_size=60)  # lone surrogates too


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("größer → 日本 µ 🙂 [/red] $x$", "größer → 日本 µ 🙂 [/red] $x$"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u200bb\u2066c", "a\\u200bb\\u2066c"),
        ("a\rb\x00", "a\\rb\\x00"),
        ("a\u2028b", "a\\u2028b"),
        ("bad\udcff", "bad\\udcff"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("filler\u3164", "filler\\u3164"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_line_stays_one_line() -> None:
    assert one_line("two\nlines\tand a tab") == "two\\nlines\\tand a tab"


@given(ANY_TEXT)
def test_any_text_becomes_printable_encodes_and_stays_so(text: str) -> None:
    shown = one_line(text)
    shown.encode()
    assert not any(unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp") for one in shown)
    assert one_line(shown) == shown
    assert set(printable(text)) - {"\n", "\t"} <= set(shown) | set("\\")


@given(ANY_TEXT | st.text("*/\\?\n ", max_size=20))
def test_a_comment_is_neither_ended_nor_opened_by_a_name(text: str) -> None:
    comment = c_comment(text)
    assert "*/" not in comment and "/*" not in comment and "\n" not in comment


def test_a_compiler_sees_one_comment_whatever_the_names(tmp_path: Path) -> None:
    names = [
        "*/ int x; /*",
        "//",
        "??/",
        "\\",
        'a"b',
        "a\n#error b",
        "/*/",
        "*",
        "\u202e */",
        "x" * 9999,
    ]
    lines = [f"/* Layer 0: {c_comment(name)}, relu. */" for name in names]
    source = tmp_path / "names.c"
    source.write_text("\n".join([*lines, "int main(void) { return 0; }", ""]), encoding="utf-8")
    compiler = ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", str(source)]
    done = subprocess.run(compiler, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert max(map(len, lines)) < 300


@pytest.mark.parametrize(
    "phrase",
    [
        "an InstanceNormalization",
        "a Det",
        "an LSTM",
        "a GRU",
        "an RNN",
        "a MaxPool",
        "an L2_NORMALIZATION",
        "a MAXIMUM",
        "a REDUCE_MAX",
        "an Unsqueeze",
        "a Unique",
        "an exp",
        "a HASHTABLE",
        "an RFFT2D",
    ],
)
def test_names_have_the_article_with_which_they_are_spoken(phrase: str) -> None:
    assert with_article(phrase.split()[1]) == phrase

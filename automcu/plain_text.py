"""Text of files, servers and users, made safe to show: no escape sequence, nothing invisible.

A name can hold anything: an escape sequence that clears the screen, a character that turns the rest
of the line around, one that cannot be seen. Whatever is printed passes through here at the edge, so
that nobody has to think of it where a sentence is made.
"""

import re
import unicodedata

# Control, format (bidirectional marks, zero-width, tags), lone surrogates, line and paragraph
# separators, and code points that are no characters. Unicode Standard, chapter 4.5.
_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"})
# Letters and marks that are drawn as nothing (Default_Ignorable_Code_Point of Unicode's
# DerivedCoreProperties.txt, as far as they are not in the categories above).
_UNSEEN_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")

_VOWELS = frozenset("AEIOU")
_LONGEST_IN_COMMENT = 200
_STAR_BY_SLASH = re.compile(r"(?<=\*)(?=/)|(?<=/)(?=\*)")


def printable(text: str) -> str:
    """Return a text in which what cannot be seen is written out: ESC as `\\x1b`.

    Line ends and tabs stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(one if one in "\n\t" else _shown(one) for one in text)


def one_line(text: str) -> str:
    """Return a text like `printable`, with line ends and tabs written out as well."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text))


def c_comment(text: str) -> str:
    """Return a text that can stand in a C comment: on one line, and it neither ends nor opens one.

    A long name is cut short. Trigraphs mean nothing within a block comment.
    """
    line = one_line(text)
    if len(line) > _LONGEST_IN_COMMENT:
        line = f"{line[:_LONGEST_IN_COMMENT]}..."
    return _STAR_BY_SLASH.sub(" ", line)


def with_article(name: str) -> str:
    """Return a name with "a" or "an" before it, as it is spoken: "an LSTM", "a Unique"."""
    word = name.partition(" ")[0]
    spelled = word.isupper() and not _VOWELS.intersection(word[1:3])
    starts = "AEFHILMNORSX" if spelled else "AEIO"
    spoken_an = name[:1].upper() in starts or (name[:2].lower() == "un" and name[2:4] != "iq")
    return f"{'an' if spoken_an else 'a'} {name}"


def _shown(one: str) -> str:
    if unicodedata.category(one) not in _UNSEEN_CATEGORIES and one not in _UNSEEN_LETTERS:
        return one
    return one.encode("unicode_escape", errors="backslashreplace").decode("ascii")

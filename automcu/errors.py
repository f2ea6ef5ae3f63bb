"""Every error that a user can meet, and text of files, servers and users made safe to show in it.

A name can hold anything: an escape sequence that clears the screen, a character that turns the rest
of the line around, one that cannot be seen. Whatever is printed passes through here at the edge, so
that nobody has to think of it where a sentence is made.
"""

import errno
import re
import unicodedata

EXIT_DONE = 0
EXIT_GOAL_MISSED = 1
EXIT_WRONG_USE = 2
EXIT_TOOL_OR_BOARD = 3


class AutomcuError(Exception):
    """An error with a message for people and an exit code for scripts."""

    exit_code = EXIT_WRONG_USE


class DoesNotFitError(AutomcuError):
    """Nothing satisfies the limits, or the goal was missed; the message says by how much."""

    exit_code = EXIT_GOAL_MISSED


class WrongInputError(AutomcuError):
    """What the user gave (a brief, a profile, a file, a flag) cannot be used as it is."""

    exit_code = EXIT_WRONG_USE


class NoFiguresError(WrongInputError):
    """Nobody has fitted latency or code sizes for this device and compiler yet."""


class UnsupportedModelError(WrongInputError):
    """A model file that is damaged, or holds an operator or type that cannot be compiled."""


class ToolError(AutomcuError):
    """A compiler or another program is missing or failed."""

    exit_code = EXIT_TOOL_OR_BOARD


class FirmwareDiffersError(ToolError):
    """The linked code computes something else than the integer reference, or does not run."""


class BoardError(AutomcuError):
    """A board is missing, silent, of the wrong kind, or answered nonsense."""

    exit_code = EXIT_TOOL_OR_BOARD


_LONGEST_SHOWN = 80
_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_NO_FOLDER = "A part of the path is a file, or a link that leads nowhere: choose another path."
_IN_WORDS = {  # of compilers, databases and other libraries
    "No space left on device": errno.ENOSPC,
    "database or disk is full": errno.ENOSPC,
    "Read-only file system": errno.EROFS,
}
_NEXT_STEP = {
    errno.ENAMETOOLONG: "Choose a shorter path.",
    errno.EROFS: "Choose a folder on a file system that can be written to.",
    errno.EACCES: "Choose a folder of your own, or change its permissions.",
    errno.EPERM: "Choose a folder of your own, or change its permissions.",
    **dict.fromkeys((errno.ENOTDIR, errno.EEXIST, errno.ELOOP), _NO_FOLDER),
    errno.EISDIR: "It is a folder: name a file.",
    **dict.fromkeys(_FULL, "Free some space and run the command again."),
}


def file_problem(error: BaseException, path: object = None) -> str | None:
    """Say what is wrong with a path, or with the disk; None where the error is about neither.

    Args:
        error: as it was raised, perhaps by a library that hid the cause behind it.
        path: what was being read or written, where the error does not say it.
    """
    named = path or getattr(error, "filename", None)
    if isinstance(error, OSError) and (named or error.errno in _NEXT_STEP):
        step = _NEXT_STEP.get(error.errno or 0, "Check the path, or choose another.")
        return f"{_shown(named)} cannot be used ({error.strerror or error}). {step}"
    if isinstance(error, ValueError) and "null byte" in str(error):
        return "A path holds a NUL character, which no file's name can. Give the path without it."
    for words, number in _IN_WORDS.items():
        if words in str(error):
            return f"{_shown(named)} cannot be used ({words}). {_NEXT_STEP[number]}"
    return file_problem(error.__cause__, path) if error.__cause__ else None


def _shown(path: object) -> str:
    """A path as a message shows it: of one that is too long, both ends."""
    text = str(path or "A file")
    half = _LONGEST_SHOWN // 2
    return text if len(text) <= 2 * _LONGEST_SHOWN else f"{text[:half]}…{text[-half:]}"


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
    return "".join(one if one in "\n\t" else _escaped(one) for one in text)


def one_line(text: str) -> str:
    """Return a text like `printable`, with line ends and tabs written out as well."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_escaped, text))


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


def _escaped(one: str) -> str:
    if unicodedata.category(one) not in _UNSEEN_CATEGORIES and one not in _UNSEEN_LETTERS:
        return one
    return one.encode("unicode_escape", errors="backslashreplace").decode("ascii")

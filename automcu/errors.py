"""Every error that a user can meet: one or two sentences, the last of which is the next step."""

import errno

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

"""Every error that a user can meet: one or two sentences, the last of which is the next step."""

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

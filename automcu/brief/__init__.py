"""What the user wants: from a sentence, flags or a TOML file to a `Brief`."""

from automcu.brief.boards_named import BOARD_KINDS, find_boards, nearest_boards, squash
from automcu.brief.brief import NO_LIMITS, Brief, Limits
from automcu.brief.data_named import DATASET_NAMES
from automcu.brief.description import describe
from automcu.brief.draft import Draft, Problem, complete, override
from automcu.brief.limits import LimitEntry, read_limits_said
from automcu.brief.phrases import PhrasedText, Said
from automcu.brief.sentence import read_sentence, without_words
from automcu.brief.settings import draft_from_settings, read_brief_file

__all__ = [
    "BOARD_KINDS",
    "DATASET_NAMES",
    "NO_LIMITS",
    "Brief",
    "Draft",
    "LimitEntry",
    "Limits",
    "PhrasedText",
    "Problem",
    "Said",
    "complete",
    "describe",
    "draft_from_settings",
    "find_boards",
    "nearest_boards",
    "override",
    "read_brief_file",
    "read_limits_said",
    "read_sentence",
    "squash",
    "without_words",
]

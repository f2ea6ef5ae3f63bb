"""What the user wants: from a sentence, flags or a TOML file to a `Brief`."""

from automcu.brief.boards_named import BOARD_KINDS, find_boards, nearest_boards, squash
from automcu.brief.brief import (
    NO_LIMITS,
    Brief,
    Draft,
    Limits,
    Problem,
    complete,
    describe,
    draft_from_settings,
    override,
    read_brief_file,
)
from automcu.brief.limits import LimitEntry, read_limits_said
from automcu.brief.phrases import PhrasedText, Said
from automcu.brief.sentence import DATASET_NAMES, read_sentence, without_words

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

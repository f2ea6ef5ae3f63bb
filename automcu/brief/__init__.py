"""What the user wants: from a sentence, flags or a TOML file to a `Brief`."""

from automcu.brief.board_names import BOARD_KINDS, find_boards, nearest_boards, squash
from automcu.brief.brief import NO_LIMITS, Brief, Limits
from automcu.brief.dataset_names import DATASET_NAMES
from automcu.brief.description import describe
from automcu.brief.draft import Draft, complete, override
from automcu.brief.quantities import number
from automcu.brief.sentence import read_sentence
from automcu.brief.settings import draft_from_settings, read_brief_file

__all__ = [
    "BOARD_KINDS",
    "DATASET_NAMES",
    "NO_LIMITS",
    "Brief",
    "Draft",
    "Limits",
    "complete",
    "describe",
    "draft_from_settings",
    "find_boards",
    "nearest_boards",
    "number",
    "override",
    "read_brief_file",
    "read_sentence",
    "squash",
]

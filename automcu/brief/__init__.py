"""What the user wants: from a sentence, flags or a TOML file to a `Brief`."""

from automcu.brief.board_names import nearest_boards
from automcu.brief.description import describe
from automcu.brief.draft import Draft, complete, override
from automcu.brief.record import Brief
from automcu.brief.sentence import read_sentence
from automcu.brief.settings import draft_from_settings, read_brief_file

__all__ = [
    "Brief",
    "Draft",
    "complete",
    "describe",
    "draft_from_settings",
    "nearest_boards",
    "override",
    "read_brief_file",
    "read_sentence",
]

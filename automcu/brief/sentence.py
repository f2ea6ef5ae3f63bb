"""A sentence read by rules: no model, no network, the same answer every time."""

import re
from collections.abc import Iterable, Mapping
from typing import Literal

from automcu.brief.board_names import find_boards
from automcu.brief.dataset_names import find_dataset
from automcu.brief.draft import Draft
from automcu.brief.quantities import accuracy, latency_ms, memory_bytes

_TRANSFORMER = re.compile(r"\b(?:vision[- ])?transformers?\b|\bf?t?er?vits?\b|\bvits?\b", re.I)
_CONVOLUTIONAL = re.compile(r"\bcnns?\b|\bconv(?:olution(?:al)?)?[- ]?(?:nets?|networks?)\b", re.I)


def read_sentence(text: str, boards: Mapping[str, Iterable[str]]) -> Draft:
    """Read what a sentence says about board, data, limits and goal; never raises.

    Args:
        text: any text, in English.
        boards: board id → its other names.
    """
    named = find_boards(text, boards)
    memory = memory_bytes(text)
    return Draft(
        text=text,
        boards=named.ids,
        unknown_boards=named.unknown,
        dataset=find_dataset(text),
        family=_family(text),
        max_latency_ms=latency_ms(text),
        max_ram_bytes=memory.get("ram"),
        max_flash_bytes=memory.get("flash"),
        min_accuracy=accuracy(text),
    )


def _family(text: str) -> Literal["cnn", "vit"] | None:
    if _TRANSFORMER.search(text):
        return "vit"
    return "cnn" if _CONVOLUTIONAL.search(text) else None

"""Operations under other names, so that a language model cannot remember what it has read of them.

NAS-Bench-201 and its best cells are in public text. A model that sees the operations as letters has
to learn from the run what each is worth.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from automcu.networks.cells.cell import OPERATIONS

_QUOTES = "[\"'`]"


@dataclass(frozen=True)
class Disguise:
    """What each operation is called; `hide` and `reveal` are each other's inverse.

    Only whole words in quotes are names: the word none is an operation, and a word of English.
    """

    labels: Mapping[str, str]

    @classmethod
    def drawn(cls, seed: int) -> "Disguise":
        """Draw which letter stands for which operation."""
        letters = np.random.default_rng(seed).permutation(list("abcde"))
        return cls({name: f"op_{letter}" for name, letter in zip(OPERATIONS, letters, strict=True)})

    def hide(self, text: str) -> str:
        """Return what the model sees."""
        return _renamed(text, self.labels)

    def reveal(self, text: str) -> str:
        """Return what the model meant."""
        return _renamed(text, {label: name for name, label in self.labels.items()})


def _renamed(text: str, names: Mapping[str, str]) -> str:
    known = "|".join(map(re.escape, names))
    return re.sub(rf"(?<={_QUOTES})(?:{known})(?={_QUOTES})", lambda found: names[found[0]], text)

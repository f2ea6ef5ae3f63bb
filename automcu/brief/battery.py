"""Battery life as a limit on energy: what a cell holds, shared among the inferences of its life."""

from collections.abc import Sequence
from dataclasses import dataclass

from automcu.brief.amounts import Amount, Token
from automcu.brief.vocabulary import digits_value, word_value


@dataclass(frozen=True)
class Cell:
    """What a battery cell holds: mAh down to its end voltage, and its mean voltage until then."""

    milliampere_hours: float
    volt: float

    @property
    def millijoule(self) -> float:
        """The energy in it."""
        return self.milliampere_hours * self.volt * 3600.0


# Nominal capacities of the makers' datasheets at small currents: Panasonic CR2032, Energizer
# CR2025, CR2450, 123, E91 (AA) and E92 (AAA), Samsung ICR18650-26. Alkaline cells start at 1.5 V
# and are empty at 0.9 V.
CELLS = {
    "CR2032": Cell(225.0, 3.0),
    "CR2025": Cell(163.0, 3.0),
    "CR2450": Cell(620.0, 3.0),
    "CR123A": Cell(1500.0, 3.0),
    "AA": Cell(2500.0, 1.2),
    "AAA": Cell(1200.0, 1.2),
    "18650": Cell(2600.0, 3.7),
}
"""Cells that a brief may name."""

_NAMES = {name.lower(): name for name in CELLS} | {"cr123": "CR123A"}
_COIN = (("coin", "cell"), ("button", "cell"), ("knopfzelle",), ("pile", "bouton"))
LITHIUM = frozenset(("lipo", "liion", "lithium", "akku"))
"""Words for a lithium cell, which has 3.7 V."""
_LITHIUM_VOLT = 3.7
_LOWEST_OF_MEAN, _HIGHEST_OF_MEAN = 0.7, 1.4


@dataclass(frozen=True)
class NamedCells:
    """Cells named by tokens `first` up to, not including, `end`."""

    first: int
    end: int
    name: str
    count: float


@dataclass(frozen=True)
class StoredEnergy:
    """The energy of a battery, and how it was reckoned."""

    millijoule: float
    words: str


def find_cells(tokens: Sequence[Token]) -> tuple[NamedCells, ...]:
    """Return the cells that tokens name: "a CR2032", "2xAA", "two AA batteries", "coin cell"."""
    found = []
    position = 0
    while position < len(tokens):
        name, end = _cell_at(tokens, position)
        if name:
            first, count = _count_before(tokens, position)
            found.append(NamedCells(first, end, name, count))
        position = end
    return tuple(found)


def _cell_at(tokens: Sequence[Token], at: int) -> tuple[str | None, int]:
    words = tuple(token.lower for token in tokens[at : at + 2])
    if words in _COIN or words[:1] in _COIN:
        return "CR2032", at + (2 if words in _COIN else 1)
    token = tokens[at]
    if token.lower in ("aa", "aaa") and not token.text.isupper():
        return None, at + 1
    return _NAMES.get(token.lower), at + 1


def _count_before(tokens: Sequence[Token], at: int) -> tuple[int, float]:
    number = at - 1
    if number > 0 and tokens[number].lower in ("x", "×", "*"):
        number -= 1
    if number < 0:
        return at, 1.0
    token = tokens[number]
    value = digits_value(token.text) if token.kind == "number" else word_value(token.lower)
    return (number, value) if value and value < 100 and value == int(value) else (at, 1.0)


def stored_millijoule(
    cells: Sequence[NamedCells], amounts: Sequence[Amount], tokens: Sequence[Token]
) -> StoredEnergy | None:
    """Return the energy that a sentence's battery holds; None where that is not said, or twice.

    Args:
        cells: the cells that it names.
        amounts: its amounts of charge (mAh), voltage and energy (Wh) of a battery.
        tokens: its tokens; "LiPo" among them says 3.7 V.
    """
    charge = [one.value for one in amounts if one.dimension == "charge" and one.value]
    volts = [one.value for one in amounts if one.dimension == "voltage" and one.value]
    if len(cells) == 1 and len(charge) < 2 and _is_of(CELLS[cells[0].name], volts):
        return _in_cells(cells[0], charge[0] if charge else None)
    spelled = {token.lower for token in tokens}
    if not volts and (spelled & LITHIUM or {"li", "ion"} <= spelled or {"li", "po"} <= spelled):
        volts = [_LITHIUM_VOLT]
    if cells or len(charge) != 1 or len(volts) != 1:
        return None
    return StoredEnergy(charge[0] * volts[0] * 3600.0, f"{charge[0]:g} mAh at {volts[0]:g} V")


def _is_of(cell: Cell, volts: Sequence[float]) -> bool:
    """Say whether voltages are those of a cell, full or half empty: an AA has 1.5 V."""
    return all(_LOWEST_OF_MEAN < volt / cell.volt < _HIGHEST_OF_MEAN for volt in volts)


def _in_cells(named: NamedCells, milliampere_hours: float | None) -> StoredEnergy:
    """Return what cells hold, as they are known or with the charge that a sentence gives."""
    cell = CELLS[named.name]
    if milliampere_hours is not None:
        cell = Cell(milliampere_hours, cell.volt)
    times = f"{named.count:g} x " if named.count != 1 else ""
    words = f"{times}{named.name} ({cell.milliampere_hours:g} mAh, {cell.volt:g} V)"
    return StoredEnergy(cell.millijoule * named.count, words)

"""How far proposals came: the figures by which one planner is compared with another."""

from automcu.records import Record


class Counts(Record):
    """Proposals that passed each gate; every count includes only those that passed all before."""

    attempted: int = 0
    schema_valid: int = 0
    shape_valid: int = 0
    feasible: int = 0
    trained: int = 0
    deployed: int = 0

    def add(self, gate: str) -> "Counts":
        """Return the counts with one more at `gate`, the name of a field."""
        return self.model_copy(update={gate: getattr(self, gate) + 1})

    def at_least(self, other: "Counts") -> "Counts":
        """Return the larger of each two counts."""
        return Counts(
            **{gate: max(getattr(self, gate), getattr(other, gate)) for gate in Counts.model_fields}
        )

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

"""What flashing did."""

from automcu.records import Record


class FlashReport(Record):
    """One successful flashing: `kept_bytes` were right already and not written again."""

    method: str
    written_bytes: int
    kept_bytes: int = 0
    seconds: float

"""The timing model: cycles of machine code on a core whose flash has wait states."""

from automcu.boards.timing.accounting import NOTHING_COUNTED, Accounting, Counts
from automcu.boards.timing.native import new_accounting

__all__ = ["NOTHING_COUNTED", "Accounting", "Counts", "new_accounting"]

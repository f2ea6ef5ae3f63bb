"""The timing model: cycles of machine code on a core whose flash has wait states."""

from automcu.boards.timing.accounting import Accounting, Counts
from automcu.boards.timing.choice import new_accounting

__all__ = ["Accounting", "Counts", "new_accounting"]

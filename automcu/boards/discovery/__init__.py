"""Which boards are there, and what they are."""

from automcu.boards.discovery.find import find_boards

__all__ = ["find_boards"]

"""Getting an image onto a board."""

from automcu.boards.flashing.methods import FLASH_METHODS, FlashMethod, flash_image
from automcu.boards.flashing.usart import boot_loader_answers

__all__ = ["FLASH_METHODS", "FlashMethod", "boot_loader_answers", "flash_image"]

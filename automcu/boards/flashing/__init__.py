"""Getting an image onto a board."""

from automcu.boards.flashing.methods import (
    FLASH_METHODS,
    FlashMethod,
    choose_method,
    flash_image,
    flashing_steps,
)
from automcu.boards.flashing.stm32_bootloader import BootLoader, boot_loader_answers
from automcu.boards.project import FlashReport

__all__ = [
    "FLASH_METHODS",
    "BootLoader",
    "FlashMethod",
    "FlashReport",
    "boot_loader_answers",
    "choose_method",
    "flash_image",
    "flashing_steps",
]

"""The ways to get an image onto a board, by the names that profiles use for them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import get_args

from automcu.boards.flashing.debug_probe import (
    flash_by_mass_storage,
    flash_by_swd,
    has_drive,
    has_probe,
    steps_by_mass_storage,
    steps_by_swd,
)
from automcu.boards.flashing.esptool import flash_by_esptool, steps_by_esptool
from automcu.boards.flashing.stm32_bootloader import flash_by_usart, steps_by_usart
from automcu.boards.project import FlashReport
from automcu.boards.records import Progress, keep_silent
from automcu.boards.virtual.process import is_virtual
from automcu.errors import WrongInputError
from automcu.mcu.profile import Device, FlashingMethod

Flash = Callable[[str, Device, bytes, Progress], FlashReport]


@dataclass(frozen=True, slots=True)
class FlashMethod:
    """One way to flash.

    `flash` does it, `steps` says what it would do and checks the image without touching the
    board, and `is_there` says whether what the way needs beside the serial port is plugged in.
    """

    flash: Flash
    steps: Callable[[str, Device, bytes], list[str]]
    is_there: Callable[[str, Device], bool]


def _always(url: str, device: Device) -> bool:
    return True


FLASH_METHODS: Mapping[FlashingMethod, FlashMethod] = MappingProxyType(
    {
        "usart-bootloader": FlashMethod(flash_by_usart, steps_by_usart, _always),
        "swd": FlashMethod(flash_by_swd, steps_by_swd, has_probe),
        "mass-storage": FlashMethod(flash_by_mass_storage, steps_by_mass_storage, has_drive),
        "esptool": FlashMethod(flash_by_esptool, steps_by_esptool, _always),
    }
)


def flash_image(
    url: str,
    device: Device,
    image: bytes,
    progress: Progress | None = None,
    method: str | None = None,
) -> FlashReport:
    """Write `image` (raw bytes from the start of flash on) to the board at `url` and start it.

    Without a `method`, the first of the profile's is taken whose probe or drive is there.

    Raises:
        WrongInputError: the image is not for this device, or the method not for this board.
        ToolError: the method needs a program that is not installed.
        BoardError: no method applies, or flashing failed.
    """
    device = reached_at(url, device)
    chosen = choose_method(url, device, method)
    return FLASH_METHODS[chosen].flash(url, device, image, progress or keep_silent)


def flashing_steps(url: str, device: Device, image: bytes, method: str | None = None) -> list[str]:
    """What `flash_image` would do, in sentences; the image is checked, the board not touched.

    Raises:
        WrongInputError: the image is not for this device, or the method not for this board.
    """
    device = reached_at(url, device)
    return FLASH_METHODS[choose_method(url, device, method)].steps(url, device, image)


def reached_at(url: str, device: Device) -> Device:
    """The device with the ways to flash what is at `url`.

    A virtual board has no debug port: whatever the part, it takes its image as an STM32's boot
    loader does. So a probe that is plugged in is not taken for one that is on it.
    """
    if not is_virtual(url):
        return device
    flashing = device.flashing.model_copy(
        update={
            "methods": ("usart-bootloader",),
            "bootloader_device_id": device.flashing.bootloader_device_id or 0,
        }
    )
    return device.model_copy(update={"flashing": flashing})


def choose_method(url: str, device: Device, wanted: str | None = None) -> FlashingMethod:
    """The method that `flash_image` takes.

    Raises:
        WrongInputError: the one that is wanted is unknown, or not one of the device's.
    """
    methods = reached_at(url, device).flashing.methods
    if wanted is not None:
        for method in methods:
            if method == wanted:
                return method
        known = "" if wanted in get_args(FlashingMethod) else "not a way to flash at all, and "
        raise WrongInputError(
            f"{wanted!r} is {known}not among those of {device.name}. "
            f"Choose a --method of: {', '.join(methods)}."
        )
    if not methods:
        raise WrongInputError(
            f"The profile of {device.id} names no way to flash it. Add methods under [flashing]."
        )
    there = (method for method in methods if FLASH_METHODS[method].is_there(url, device))
    # When nothing is there, the last way's own error says best what to plug in.
    return next(there, methods[-1])

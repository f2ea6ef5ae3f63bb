"""The ways to get an image onto a board, by the names that profiles use for them."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from automcu.boards.flashing.usart import flash_by_usart
from automcu.boards.progress import Progress, keep_silent
from automcu.devices.profile import Device
from automcu.errors import BoardError

FlashMethod = Callable[[str, Device, bytes, Progress], None]

FLASH_METHODS: Mapping[str, FlashMethod] = MappingProxyType({"usart-bootloader": flash_by_usart})


def flash_image(url: str, device: Device, image: bytes, progress: Progress | None = None) -> None:
    """Write `image` (raw bytes from the start of flash on) to the board at `url` and start it.

    Of the methods in the profile, the first one that automcu can do is taken.

    Raises:
        WrongInputError: the image is not for this device.
        BoardError: no method applies, or flashing failed.
    """
    for name in device.flashing.methods:
        if name in FLASH_METHODS:
            FLASH_METHODS[name](url, device, image, progress or keep_silent)
            return
    raise BoardError(
        f"{device.name} is flashed by {', '.join(device.flashing.methods)}, which automcu cannot "
        f"do yet. Flash the .bin file with the vendor's tool; automcu can use the board after that."
    )

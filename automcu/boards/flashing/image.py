"""Firmware images: whether they belong on this device, the sectors they cover, flash reports."""

from automcu.errors import WrongInputError
from automcu.mcu.profile import Device, code_flash
from automcu.records import Record

_VECTOR_TABLE_BYTES = 8


def check_image(device: Device, image: bytes) -> None:
    """See that `image` starts with a vector table for this device, and fits.

    Raises:
        WrongInputError: it does not.
    """
    flash = code_flash(device)
    if len(image) > flash.size:
        raise WrongInputError(
            f"The image has {len(image)} bytes, the flash of {device.name} {flash.size}. "
            "Build it for this device, or choose a larger device."
        )
    stack = int.from_bytes(image[0:4], "little")
    entry = int.from_bytes(image[4:8], "little")
    in_ram = any(r.kind == "ram" and r.address < stack <= r.address + r.size for r in device.memory)
    in_image = flash.address <= entry < flash.address + len(image) and entry % 2 == 1
    if len(image) < _VECTOR_TABLE_BYTES or not in_ram or not in_image:
        raise WrongInputError(
            f"The image does not begin with a vector table for {device.name}. "
            "Build it for this device with `automcu build`, and give the .bin file."
        )


def sectors_covering(device: Device, image_bytes: int) -> list[int]:
    """Numbers of the flash sectors, counted from the start of flash, that an image lies in.

    Raises:
        WrongInputError: the profile's sectors end before the image does.
    """
    sectors = []
    start = 0
    for number, size in enumerate(device.flashing.flash_sector_bytes):
        if start < image_bytes:
            sectors.append(number)
        start += size
    if start < image_bytes:
        raise WrongInputError(
            f"The sectors in the profile of {device.id} cover {start} bytes, but the image has "
            f"{image_bytes}. Complete flash_sectors under [flashing]."
        )
    return sectors


def first_difference(found: bytes, expected: bytes) -> int | None:
    """The offset of the first byte that differs, or is missing; None when there is none."""
    if found == expected:
        return None
    pairs = enumerate(zip(found, expected, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(found), len(expected)))


class FlashReport(Record):
    """One successful flashing: `kept_bytes` were right already and not written again."""

    method: str
    written_bytes: int
    kept_bytes: int = 0
    seconds: float

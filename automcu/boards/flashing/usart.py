"""Flashing an STM32 through the USART boot loader in its ROM: erase, write, read back, start."""

from collections.abc import Iterator

from automcu.boards.flashing.image import check_image, code_flash, sectors_covering
from automcu.boards.flashing.stm32_bootloader import (
    EXTENDED_ERASE,
    MAX_BLOCK_BYTES,
    BootLoader,
    wait_for_boot_loader,
)
from automcu.boards.link import Link
from automcu.boards.port import Port, open_port
from automcu.boards.progress import Progress
from automcu.devices.profile import Device
from automcu.errors import BoardError, WrongInputError

ERASED_BYTE = 0xFF
# STM32H7 programs whole flash words of 32 bytes (RM0433, section 4.3.9), the others smaller ones.
_WRITE_GRANULE_BYTES = 32
_BYTES_PER_ERASE_COMMAND = 128 * 1024
_START_UP_S = 3.0


def flash_by_usart(url: str, device: Device, image: bytes, progress: Progress) -> None:
    """Write `image` to the start of flash, read it back, and start it.

    Raises:
        WrongInputError: the image is not for this device.
        BoardError: no boot loader answers, it belongs to another part, or flashing failed.
    """
    check_image(device, image)
    sectors = sectors_covering(device, len(image))
    with open_port(url, device.serial.baud_rate, parity="even") as port:
        boot_loader = _reach_boot_loader(port, device)
        _check_part(boot_loader, device, url)
        _erase(boot_loader, device, sectors, progress)
        _write(boot_loader, device, image, progress)
        _verify(boot_loader, device, image, progress)
        boot_loader.go(code_flash(device).address)


def boot_loader_answers(url: str, device: Device) -> bool:
    """Whether the board waits in its boot loader. Firmware that runs instead is not disturbed.

    Raises:
        BoardError: the port cannot be opened.
    """
    with open_port(url, device.serial.baud_rate, parity="even") as port:
        return BootLoader(port).synchronise()


def _reach_boot_loader(port: Port, device: Device) -> BootLoader:
    """Wake the boot loader; if firmware of ours runs instead, ask it to hand over first."""
    boot_loader = BootLoader(port)
    if boot_loader.synchronise():
        return boot_loader
    port.use_parity("none")
    try:
        Link(port, timeout_s=0.5).enter_boot_loader()
    except BoardError as error:
        raise BoardError(
            f"Neither a boot loader nor automcu's firmware answers at {port.url}. Hold BOOT0 high, "
            f"reset the {device.name}, and flash it again."
        ) from error
    port.use_parity("even")
    if not wait_for_boot_loader(boot_loader, _START_UP_S):
        raise BoardError(
            f"The firmware at {port.url} left for its boot loader, which does not answer. "
            f"Hold BOOT0 high, reset the {device.name}, and flash it again."
        )
    return boot_loader


def _check_part(boot_loader: BootLoader, device: Device, url: str) -> None:
    expected = device.flashing.bootloader_device_id
    if expected is None:
        raise WrongInputError(
            f"The profile of {device.id} does not say which part its boot loader reports. "
            "Add bootloader_device_id under [flashing] (ST's AN2606 lists it)."
        )
    found = boot_loader.device_id()
    if found != expected:
        raise BoardError(
            f"The board at {url} is not a {device.name}: its boot loader reports part "
            f"{found:#05x}, not {expected:#05x}. Name the right device, or the right port."
        )
    if EXTENDED_ERASE not in boot_loader.commands():
        raise BoardError(
            f"The boot loader at {url} is too old to erase by sector. "
            "Update or replace the board, or flash it with ST's own tools."
        )


def _erase(boot_loader: BootLoader, device: Device, sectors: list[int], progress: Progress) -> None:
    progress("erasing", 0, len(sectors))
    done = 0
    for group in _erase_groups(device, sectors):
        boot_loader.erase(group)
        done += len(group)
        progress("erasing", done, len(sectors))


def _erase_groups(device: Device, sectors: list[int]) -> Iterator[list[int]]:
    """Sectors in groups that one command erases within its time-out."""
    group: list[int] = []
    size = 0
    for sector in sectors:
        sector_bytes = device.flashing.flash_sector_bytes[sector]
        if group and size + sector_bytes > _BYTES_PER_ERASE_COMMAND:
            yield group
            group, size = [], 0
        group.append(sector)
        size += sector_bytes
    if group:
        yield group


def _write(boot_loader: BootLoader, device: Device, image: bytes, progress: Progress) -> None:
    start = code_flash(device).address
    progress("writing", 0, len(image))
    for offset, block in _blocks(image):
        padding = -len(block) % _WRITE_GRANULE_BYTES
        boot_loader.write(start + offset, block + bytes((ERASED_BYTE,)) * padding)
        progress("writing", offset + len(block), len(image))


def _verify(boot_loader: BootLoader, device: Device, image: bytes, progress: Progress) -> None:
    start = code_flash(device).address
    progress("verifying", 0, len(image))
    for offset, block in _blocks(image):
        if boot_loader.read(start + offset, len(block)) != block:
            raise BoardError(
                f"The flash at {start + offset:#010x} does not hold what was written. "
                "Flash the board again; if it happens at the same place, its flash is worn out."
            )
        progress("verifying", offset + len(block), len(image))


def _blocks(image: bytes) -> Iterator[tuple[int, bytes]]:
    for offset in range(0, len(image), MAX_BLOCK_BYTES):
        yield offset, image[offset : offset + MAX_BLOCK_BYTES]

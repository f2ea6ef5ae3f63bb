"""ESP32-S3, whose mask ROM copies the image to RAM; there is no virtual board of it."""

from automcu.mcu.core import XTENSA_LX7
from automcu.mcu.family import Family, Macros
from automcu.mcu.profile import Device


def _board_macros(device: Device) -> Macros:
    return {
        "BOARD_UART_BASE": f"0x{device.serial.address:08X}u",
        "BOARD_BAUD_RATE": f"{device.serial.baud_rate}u",
    }


def _clock_note(device: Device) -> str:
    return (
        f"{device.clock_hz / 1e6:g} MHz is the clock that the ESP-IDF application sets: a "
        "self-contained image runs at the one that the mask ROM leaves, and reports it"
    )


FAMILIES = (
    Family(
        name="esp32s3",
        core=XTENSA_LX7,
        highest_hz=240_000_000,
        ports=("ports/esp32s3",),
        linker_script="ports/esp32s3/linker.ld.in",
        applications={"esp-idf": "ports/esp_idf"},
        board_macros=_board_macros,
        esptool_chip="esp32s3",
        qemu_machine="esp32s3",
        clock_note=_clock_note,
    ),
)

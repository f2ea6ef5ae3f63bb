"""A chip's part id over its debug port, by pyOCD where that is installed."""

import logging

from automcu.boards.flashing.pyocd_probe import probe_session
from automcu.errors import BoardError, ToolError
from automcu.mcu.profile import Device

_PART_MASK = 0xFFF  # DBGMCU_IDCODE, bits 11:0 (RM0090, section 38.6.1; the same in all families)
# Where DBGMCU_IDCODE is: RM0090 and RM0385, RM0432, RM0433 and RM0468, RM0456 ("Debug support").
_IDCODE = {
    "stm32f4": 0xE004_2000,
    "stm32f7": 0xE004_2000,
    "stm32l4": 0xE004_2000,
    "stm32h7": 0x5C00_1000,
    "stm32u5": 0xE004_4000,
}


def read_part_id(device: Device, serial_number: str | None) -> int | None:
    """The part id that ST's boot loader would report too; None where it cannot be read.

    The core is not halted.
    """
    address = _IDCODE.get(device.family)
    if address is None or not serial_number:
        return None
    try:
        with probe_session(serial_number, "cortex_m", connect_mode="attach") as session:
            return int(session.target.read32(address)) & _PART_MASK
    except (BoardError, ToolError) as error:
        logging.getLogger(__name__).debug("no IDCODE: %s", error)
        return None

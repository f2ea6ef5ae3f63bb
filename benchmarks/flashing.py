"""What flashing costs on the line, against the least that the protocol can do it with.

    python -m benchmarks.flashing [--kib N] [--quick] [--json]

A virtual STM32L4R5 gets 512 KiB of random bytes through its USART boot loader (AN3155), erased,
written and read back. All bytes of the line are counted, in both directions, as the protocol lets
neither side speak while the other does. The least is one write and one read frame for each 256
bytes, and one erase. Line time is at 921,600 baud, 11 bits a byte (8E1); the seconds that the
virtual board took are beside it. `benchmarks/flashing.csv` holds the row of a full run. The exit
code is 1 above 1.3 times the least.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from automcu.boards.flashing import flash_image
from automcu.boards.flashing.stm32_bootloader import MAX_BLOCK_BYTES
from automcu.boards.virtual import virtual_board
from automcu.mcu import find_device
from benchmarks.faulty_cable import faulty_cable

DEVICE = "nucleo-l4r5zi"
KIB, QUICK_KIB = 512, 32
MOST = 1.3
_BAUD_RATE, _BITS_PER_BYTE = 921_600, 11
# Stack and entry of a program that sleeps for ever: `wfi`, `b .-2` (Armv7-M, DDI 0403)
_SLEEPING = bytes.fromhex("00000220 09000008 30bf fde7")
# AN3155: command and its complement, ACK; address and checksum, ACK; then for a write number,
# block, checksum and ACK, for a read number, complement, ACK and the block.
_WRITE_BYTES = 3 + 6 + 2 + MAX_BLOCK_BYTES + 1
_READ_BYTES = 3 + 6 + 3 + MAX_BLOCK_BYTES
_ERASE_BYTES = 3 + 2 + 1 + 1  # and two for each sector


def least_bytes(image_bytes: int, sectors: int) -> int:
    """Bytes on the line of the frames that cannot be done without."""
    blocks = -(-image_bytes // MAX_BLOCK_BYTES)
    return blocks * (_WRITE_BYTES + _READ_BYTES) + _ERASE_BYTES + 2 * sectors


def measure(kib: int) -> dict[str, object]:
    """Flash a virtual board with so many KiB."""
    device = find_device(DEVICE)
    noise = np.random.default_rng(0).bytes(kib * 1024 - len(_SLEEPING))
    with virtual_board(device) as url, faulty_cable(url) as cable:
        report = flash_image(cable.url, device, _SLEEPING + noise)
        carried = sum(cable.carried.values())
    least = least_bytes(kib * 1024, kib * 1024 // device.flashing.flash_sector_bytes[0])
    seconds_per_byte = _BITS_PER_BYTE / _BAUD_RATE
    return {
        "device": device.id,
        "kib": kib,
        "bytes_on_the_line": carried,
        "least_bytes": least,
        "ratio": round(carried / least, 4),
        "line_seconds": round(carried * seconds_per_byte, 2),
        "least_seconds": round(least * seconds_per_byte, 2),
        "virtual_board_seconds": round(report.seconds, 2),
    }


def main() -> int:
    """Print the row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kib", type=int)
    parser.add_argument("--quick", action="store_true", help="32 KiB; writes no CSV")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    row = measure(options.kib or (QUICK_KIB if options.quick else KIB))
    if not options.quick and not options.kib:
        pd.DataFrame([row]).to_csv(Path(__file__).with_suffix(".csv"), index=False)
    print(json.dumps(row) if options.json else pd.Series(row).to_string())
    return 0 if float(str(row["ratio"])) <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())

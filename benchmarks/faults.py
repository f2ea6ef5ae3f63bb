"""Faults injected into flashing and measuring, and whether the board came to harm.

    python -m benchmarks.faults [--quick] [--json]

Every fault meets a virtual board with a real firmware, through a cable that does the damage. It
is survived when the command ends within its time in a clear error with exit code 3 (2 where the
user gave the wrong thing) or recovers by itself, and the same board can then be flashed and
answers, over the same cable. `benchmarks/faults.csv` holds the rows of a full run. The exit code
is 1 where a fault was not survived.
"""

import argparse
import contextlib
import json
import os
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from automcu.boards.bench import bench_project
from automcu.boards.flashing import flash_image
from automcu.boards.link import open_link
from automcu.boards.virtual import virtual_board
from automcu.errors import AutomcuError
from automcu.mcu import Device, find_device
from benchmarks.faulty_cable import (
    Cable,
    Damage,
    faulty_cable,
    flipped_at,
    inserted_at,
    intact,
    lost_at,
    pulled_after,
    replaced_from,
)
from benchmarks.small_project import small_project

DEVICE = "nucleo-l4r5zi"
LIMIT_S = 30.0
_NOISE = bytes((0x00, 0xFF, 0x55, 0x79, 0x1F, 0x7F, 0x80, 0x00))
_ACKNOWLEDGE, _REFUSE = 0x79, 0x1F
_QUICK_STEP = 4
# RFC 2217, section 3: COM-PORT-OPTION SET-CONTROL; 8 and 9 are DTR on and off, 11 and 12 RTS.
_BOOT0_HIGH, _BOOT0_LOW = (11, 9, 8, 12), (11, 9, 12)


@dataclass(frozen=True)
class Setting:
    """A project, its image, and the device that both are for."""

    project: Path
    device: Device
    image: bytes


@dataclass(frozen=True)
class Fault:
    """One fault: what is done to the board, and how that may end.

    `attempt` gets the setting and the cable; `ends` are the exit codes that are right, 0 for work
    that must get through in spite of the fault.
    """

    name: str
    during: str
    attempt: Callable[[Setting, Cable], object]
    ends: tuple[int, ...] = (3,)


@dataclass(frozen=True)
class Outcome:
    """How an attempt under a fault ended, and whether the board still worked."""

    fault: str
    during: str
    exit_code: int
    message: str
    seconds: float
    flashed_again: bool
    survived: bool


def faults() -> Iterator[Fault]:
    """All of them."""
    for count in (0, 1, 3, 30, 100, 270, 1_000, 12_000):
        yield Fault(f"cable pulled at byte {count}", "flash", _flashing(pulled_after(count)))
    for count in (2, 100):
        damage = pulled_after(count)
        yield Fault(f"cable pulled at answer {count}", "flash", _flashing(intact, damage))
    yield Fault("garbage before the first answer", "flash", _flashing(intact, _noise(0)), (0, 3))
    yield Fault("garbage among the answers", "flash", _flashing(intact, _noise(40)), (0, 3))
    yield Fault("garbage to the boot loader", "flash", _flashing(_noise(60)), (0, 3))
    for place in (3, 60, 600):
        flipped = flipped_at((place,))
        yield Fault(f"bit {place} to the board flipped", "flash", _flashing(flipped), (0, 3))
        yield Fault(f"bit {place} to the host flipped", "flash", _flashing(intact, flipped), (0, 3))
        lost = lost_at((place,))
        yield Fault(f"byte {place} to the board lost", "flash", _flashing(lost), (0, 3))
        yield Fault(f"byte {place} to the host lost", "flash", _flashing(intact, lost), (0, 3))
    yield Fault("boot loader refuses everything", "flash", _flashing(intact, _refusing(1)))
    yield Fault("boot loader refuses half way", "flash", _flashing(intact, _refusing(60)))
    yield Fault("boot loader refuses once", "flash", _flashing(intact, _refusing(60, 1)), (0, 3))
    yield Fault("boot loader falls silent", "flash", _flashing(intact, lost_at(range(30, 10**9))))
    yield Fault("board resets into its boot loader", "flash", _flash_with_reset(_BOOT0_HIGH))
    yield Fault("board resets into its old program", "flash", _flash_with_reset(_BOOT0_LOW))
    yield Fault("half-written flash is started", "flash", _start_half_written, (0,))
    yield Fault("another part than the profile's", "flash", _flash_as_another_part)
    yield Fault("image larger than the flash", "flash", _flash_too_much, (2,))
    yield Fault("image of another kind", "flash", _flash_nonsense, (2,))
    yield Fault("port in use by another program", "open", _open_busy)
    yield Fault("port without permission", "open", _open_forbidden)
    yield Fault("no such port", "open", _open_missing)
    yield Fault("nothing listens at the address", "open", _open_unserved)
    yield Fault("a device that answers nothing", "open", _open_silent)
    for count in (0, 8, 40, 400):
        yield Fault(f"cable pulled at byte {count}", "bench", _benching(pulled_after(count)))
    for count in (40,):
        damage = pulled_after(count)
        yield Fault(f"cable pulled at answer {count}", "bench", _benching(intact, damage))
    for place in (12, 500):
        flipped, lost = flipped_at((place,)), lost_at((place,))
        yield Fault(f"bit {place} to the board flipped", "bench", _benching(flipped), (0, 3))
        yield Fault(f"bit {place} to the host flipped", "bench", _benching(intact, flipped), (0, 3))
        yield Fault(f"byte {place} to the board lost", "bench", _benching(lost), (0, 3))
    yield Fault("garbage to the firmware", "bench", _benching(_noise(12)), (0, 3))
    yield Fault("garbage among the answers", "bench", _benching(intact, _noise(30)), (0, 3))
    yield Fault("every answer damaged", "bench", _benching(intact, flipped_at(range(2, 10**6, 9))))
    yield Fault("firmware of another network", "bench", _bench_other_firmware, (0,))
    yield Fault("board resets into its boot loader", "bench", _bench_with_reset)


def inject(fault: Fault, setting: Setting, cable: Cable) -> Outcome:
    """Let a fault happen, then see whether the board can be flashed and answers."""
    started = time.monotonic()
    code, message = _attempt(fault, setting, cable)
    seconds = time.monotonic() - started
    cable.to_board = cable.to_host = intact
    flashed_again = _works(setting, cable.url)
    survived = code in fault.ends and seconds < LIMIT_S and flashed_again
    return Outcome(
        fault.name, fault.during, code, message, round(seconds, 1), flashed_again, survived
    )


@contextlib.contextmanager
def setting_with_cable(folder: Path) -> Iterator[tuple[Setting, Cable]]:
    """A built project, and a virtual board that runs it, behind a cable."""
    device = find_device(DEVICE)
    project = small_project(folder, device)
    image = (project / "build/firmware.bin").read_bytes()
    setting = Setting(project, device, image)
    with virtual_board(device) as url, faulty_cable(url) as cable:
        flash_image(cable.url, device, image)
        yield setting, cable


def _attempt(fault: Fault, setting: Setting, cable: Cable) -> tuple[int, str]:
    try:
        fault.attempt(setting, cable)
    except AutomcuError as error:
        return error.exit_code, str(error)
    except Exception as error:
        return -1, f"{type(error).__name__}: {error}"
    return 0, ""


def _works(setting: Setting, url: str) -> bool:
    try:
        flash_image(url, setting.device, setting.image)
        with open_link(url, setting.device.serial.baud_rate) as link:
            return link.identify().board == setting.device.id
    except AutomcuError as error:
        print(f"not flashed again: {error}", file=sys.stderr)
        return False


def _to_boot_loader(setting: Setting, cable: Cable) -> None:
    """Bring the board into its boot loader, with flash that holds the image no more."""
    with open_link(cable.url, setting.device.serial.baud_rate) as link:
        link.enter_boot_loader()
    time.sleep(0.2)
    _scratch(setting, cable)
    cable.reset_counts()


def _scratch(setting: Setting, cable: Cable) -> None:
    from automcu.boards.flashing import BootLoader
    from automcu.boards.port import open_port

    with open_port(cable.url, setting.device.serial.baud_rate, parity="even") as port:
        loader = BootLoader(port)
        loader.synchronise()
        loader.erase(list(range(-(-len(setting.image) // 4096))))


def _flashing(to_board: Damage = intact, to_host: Damage = intact) -> Callable[..., object]:
    def attempt(setting: Setting, cable: Cable) -> object:
        _to_boot_loader(setting, cable)
        cable.to_board, cable.to_host = to_board, to_host
        return flash_image(cable.url, setting.device, setting.image)

    return attempt


def _benching(to_board: Damage = intact, to_host: Damage = intact) -> Callable[..., object]:
    def attempt(setting: Setting, cable: Cable) -> object:
        with open_link(cable.url, setting.device.serial.baud_rate) as link:
            cable.reset_counts()
            cable.to_board, cable.to_host = to_board, to_host
            inputs = bytes(link.identify().input_bytes)
            link.run(inputs)
            link.profile()
            link.benchmark(3)
            return link.memory()

    return attempt


def _noise(place: int) -> Damage:
    return inserted_at((place,), _NOISE)


def _refusing(first: int, times: int = 1_000_000) -> Damage:
    return replaced_from(first, _ACKNOWLEDGE, _REFUSE, times)


def _start_half_written(setting: Setting, cable: Cable) -> object:
    """What power loss leaves: half an image that runs into nothing, behind a reset pin."""
    from automcu.boards.flashing import BootLoader
    from automcu.boards.port import open_port
    from automcu.mcu.profile import code_flash

    start = code_flash(setting.device).address
    with virtual_board(setting.device, protocol="rfc2217") as url:
        with open_port(url, setting.device.serial.baud_rate, parity="even") as port:
            loader = BootLoader(port)
            loader.synchronise()
            for offset in range(0, len(setting.image) // 2, 256):
                loader.write(start + offset, setting.image[offset : offset + 256])
            loader.go(start)
            time.sleep(0.5)
        report = flash_image(url, setting.device, setting.image)
        assert report.kept_bytes > len(setting.image) // 3
        return report


def _flash_with_reset(pins: tuple[int, ...]) -> Callable[..., object]:
    """The reset pin is pulled half way, by someone else on the line; then it is flashed again."""

    def attempt(setting: Setting, cable: Cable) -> object:
        pulses = b"".join(bytes((0xFF, 0xFA, 44, 5, pin, 0xFF, 0xF0)) for pin in pins)
        with (
            virtual_board(setting.device, protocol="rfc2217") as url,
            faulty_cable(url.replace("rfc2217://", "socket://")) as own,
        ):
            own.to_board = inserted_at((len(setting.image) // 2,), pulses)
            remote = own.url.replace("socket://", "rfc2217://")
            try:
                return flash_image(remote, setting.device, setting.image)
            finally:
                own.to_board = intact
                flash_image(remote, setting.device, setting.image)

    return attempt


def _flash_as_another_part(setting: Setting, cable: Cable) -> object:
    _to_boot_loader(setting, cable)
    flashing = setting.device.flashing.model_copy(update={"bootloader_device_id": 0x413})
    other = setting.device.model_copy(update={"flashing": flashing})
    return flash_image(cable.url, other, setting.image)


def _flash_too_much(setting: Setting, cable: Cable) -> object:
    image = setting.image + bytes(setting.device.flash_bytes)
    return flash_image(cable.url, setting.device, image)


def _flash_nonsense(setting: Setting, cable: Cable) -> object:
    return flash_image(cable.url, setting.device, b"\x7fELF" + bytes(4096))


def _open_busy(setting: Setting, cable: Cable) -> object:
    with _terminal() as name, open_link(name):
        return open_link(name)


def _open_forbidden(setting: Setting, cable: Cable) -> object:
    """Root may open anything, so that it has to be somebody else for a moment."""
    with _terminal() as name:
        Path(name).chmod(0)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            return open_link(name)
        finally:
            if user == 0:
                os.seteuid(0)
            Path(name).chmod(stat.S_IRUSR | stat.S_IWUSR)


def _open_missing(setting: Setting, cable: Cable) -> object:
    return flash_image("/dev/ttyNONE7", setting.device, setting.image)


def _open_unserved(setting: Setting, cable: Cable) -> object:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return flash_image(f"socket://127.0.0.1:{port}", setting.device, setting.image)


def _open_silent(setting: Setting, cable: Cable) -> object:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"socket://127.0.0.1:{listener.getsockname()[1]}"
        return flash_image(url, setting.device, setting.image)


@contextlib.contextmanager
def _terminal() -> Iterator[str]:
    """A pseudo-terminal, which is as good as a serial port for being opened."""
    board, host = os.openpty()
    try:
        yield os.ttyname(host)
    finally:
        os.close(board)
        os.close(host)


def _bench_other_firmware(setting: Setting, cable: Cable) -> object:
    """The board runs an older build: it is replaced without asking, and measured."""
    stale = bytearray(setting.image)
    place = stale.find(setting.device.id.encode())
    stale[place : place + 1] = b"X"
    flash_image(cable.url, setting.device, bytes(stale))
    found = bench_project(setting.project, setting.device, cable.url, inputs=1, runs=1)
    assert found.mismatches == 0
    return found


def _bench_with_reset(setting: Setting, cable: Cable) -> object:
    """It answers no command any more, as a board does whose supply broke down for a moment."""
    with open_link(cable.url, setting.device.serial.baud_rate, timeout_s=0.3) as link:
        link.identify()
        link.enter_boot_loader()
        time.sleep(0.2)
        return link.run(bytes(link.identify().input_bytes))


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="every fourth fault; writes no CSV")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    chosen = list(faults())[:: _QUICK_STEP if options.quick else 1]
    with (
        tempfile.TemporaryDirectory() as folder,
        setting_with_cable(Path(folder) / "project") as (setting, cable),
    ):
        outcomes = []
        for fault in chosen:
            outcomes.append(inject(fault, setting, cable))
            verdict = "survived" if outcomes[-1].survived else f"FAILED: {outcomes[-1]}"
            print(f"{len(outcomes)}/{len(chosen)} {fault.name}: {verdict}", file=sys.stderr)
    table = pd.DataFrame([vars(outcome) for outcome in outcomes])
    if not options.quick:
        table.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    injected, survived = len(table), int(table["survived"].sum())
    summary = {"injected": injected, "survived": survived}
    if options.json:
        print(json.dumps({**summary, "faults": json.loads(table.to_json(orient="records"))}))
    else:
        print(table.drop(columns=["message"]).to_string(index=False))
        print(f"{injected} injected, {survived} survived")
    return 0 if injected == survived else 1


if __name__ == "__main__":
    sys.exit(main())

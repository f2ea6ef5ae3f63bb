"""A compiled project's folder: built into a firmware, flashed onto a board, and measured there."""

from dataclasses import dataclass
from pathlib import Path

from automcu.boards.bench import bench_project
from automcu.boards.discovery import VIRTUAL, board_url
from automcu.boards.flashing import choose_method, flash_image, flashing_steps
from automcu.boards.project import FlashReport, load_firmware, project_device, project_folder
from automcu.boards.records import Measurement, Progress
from automcu.boards.verification import build_verified
from automcu.compiler.project import Project
from automcu.errors import WrongInputError
from automcu.mcu import find_device
from automcu.mcu.profile import Device
from automcu.report.record import measurement_warnings
from automcu.toolchains import Build, build_project
from automcu.user_model.inputs import load_test_set


@dataclass(frozen=True)
class FlashResult:
    """A board that runs a project's firmware; `warnings` say what is doubtful about that."""

    device: Device
    report: FlashReport
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class FlashPlan:
    """What flashing would do, in sentences, and by which method; nothing is done yet."""

    device: Device
    method: str
    steps: tuple[str, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class BenchResult:
    """A measurement, what was done to the test data (`notes`), and what is doubtful about both."""

    measurement: Measurement
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def build(folder: Path | str, *, verify: bool = True) -> Build:
    """Compile and link a project's firmware, and prove on an emulator that it computes what it
    should.

    Args:
        folder: a compiled project, or a run that holds one.
        verify: run golden inputs through the linked code and compare every byte of the answers.

    Returns:
        Sizes in bytes, from the ELF, and paths relative to the project's folder.

    Raises:
        WrongInputError: there is no project, or it is damaged.
        DoesNotFitError: the linker has not enough flash or RAM.
        ToolError: the compiler is missing or failed.
        FirmwareDiffersError: the firmware computes something else; the folder then holds none.
    """
    project = project_folder(Path(folder))
    device = find_device(project_device(project))
    return build_verified(project, device) if verify else build_project(project, device)


def flash(
    folder: Path | str,
    board: str,
    *,
    method: str | None = None,
    progress: Progress | None = None,
) -> FlashResult:
    """Write a project's firmware to a board, verify it and start it.

    Args:
        folder: a built project, or a run that holds one.
        board: any pyserial URL, such as /dev/ttyACM0, COM3 or rfc2217://host:port, or
            labgrid:PLACE.
        method: "usart-bootloader", "swd", "mass-storage" or "esptool"; None for the first of the
            board's ways that is connected.
        progress: called with what is being done, how much of it is done, and how much there is.

    Raises:
        WrongInputError: there is no firmware, or it is another network's; the method is not the
            board's.
        ToolError: the method needs a program that is not installed.
        BoardError: the board is missing, silent or of another kind, or flashing failed.
    """
    device, image, warnings = load_image(folder, board)
    with board_url(board, device) as url:
        report = flash_image(url, device, image, progress, method)
    return FlashResult(device, report, warnings)


def plan_flash(folder: Path | str, board: str, method: str | None = None) -> FlashPlan:
    """Check the image and say what `flash` would do; the board is not touched.

    Raises:
        WrongInputError: as `flash`.
    """
    device, image, warnings = load_image(folder, board)
    steps = tuple(flashing_steps(board, device, image, method))
    return FlashPlan(device, choose_method(board, device, method), steps, warnings)


def bench(
    folder: Path | str,
    board: str = VIRTUAL,
    *,
    inputs: int | None = None,
    runs: int | None = None,
    data: str | None = None,
    progress: Progress | None = None,
) -> BenchResult:
    """Put a project's firmware on a board, unless it runs there already, and measure it.

    Args:
        folder: a built project, or a run that holds one.
        board: "virtual", any pyserial URL, or labgrid:PLACE.
        inputs: at most so many golden inputs, and inputs of the data, from 1; None for all.
        runs: how often it is timed, from 1; None for some seconds.
        data: a test set for accuracy: a data set, a folder, or a .npz of x and y.
        progress: called with what is being done, how much of it is done, and how much there is.

    Returns:
        Latency in milliseconds and cycles, of all and of each layer, accuracy as a fraction, stack
        and arena in bytes, and how many answers differ from the integer reference. Latency is
        modelled where the board is virtual.

    Raises:
        WrongInputError: the project is not built, the data do not go with it, or there is nothing
            to run.
        BoardError: the board fails, or something else runs on it.
    """
    for name, number in (("inputs", inputs), ("runs", runs)):
        if number is not None and number < 1:
            raise WrongInputError(f"{name} is {number}. Give 1 or more, or None.")
    project = project_folder(Path(folder))
    information = Project.load(project / "project.json")
    device = find_device(information.device)
    test_set, notes = load_test_set(data, information.input, inputs) if data else (None, ())
    doubt = load_firmware(project).doubt
    found = bench_project(project, device, board, inputs, progress, runs, test_set)
    warnings = measurement_warnings(found, information.class_names)
    return BenchResult(found, notes, (*warnings, doubt) if doubt else warnings)


def load_image(folder: Path | str, board: str) -> tuple[Device, bytes, tuple[str, ...]]:
    """Return the device, the image that `board` would get, and what is doubtful about it.

    Raises:
        WrongInputError: as `flash`.
    """
    if board == VIRTUAL:
        raise WrongInputError(
            "A virtual board has to run before it can be flashed. Start one with "
            "`automcu board run ID` and give its URL, or measure at once with `automcu bench`."
        )
    project = project_folder(Path(folder))
    device = find_device(Project.load(project / "project.json").device)
    firmware = load_firmware(project)
    return device, firmware.image, (firmware.doubt,) if firmware.doubt else ()

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from automcu.boards import bench as bench_module
from automcu.boards.bench import bench_project
from automcu.boards.flashing import flash_image
from automcu.boards.project import load_firmware, load_golden
from automcu.boards.virtual import virtual_board
from automcu.boards.virtual.process import unregister
from automcu.errors import BoardError, WrongInputError
from automcu.mcu import Device, find_device
from automcu.toolchains import build_project

DEVICE = "stm32f407g-disc1"
INPUTS = 20
# The tiny model adds its bias, which is one everywhere, to each of 64 bytes.
BYTES = 64


@pytest.fixture(scope="module")
def board() -> Device:
    return find_device(DEVICE)


@pytest.fixture(scope="module")
def project(
    write_tiny_project: Callable[[Path, Device], Path],
    tmp_path_factory: pytest.TempPathFactory,
    board: Device,
) -> Path:
    folder = write_tiny_project(tmp_path_factory.mktemp("bench") / "project", board)
    layers = [{"name": "add bias"}, {"name": "copy"}]
    description = {"model_hash": "0123456789abcdef", "layers": layers, "device": DEVICE}
    (folder / "project.json").write_text(json.dumps(description))
    build_project(folder, board)
    write_golden(folder)
    return folder


@pytest.fixture(scope="module")
def bench_url(board: Device) -> Iterator[str]:
    with virtual_board(board) as url:
        yield url


def write_golden(folder: Path, wrong: int = 0, labels: bool = True) -> None:
    """Golden data of which the first `wrong` outputs differ in one byte from the truth."""
    inputs = np.random.default_rng(0).integers(-128, 128, (INPUTS, 8, 8, 1)).astype(np.int8)
    outputs = (inputs.reshape(INPUTS, BYTES) + 1).astype(np.int8)
    arrays = {"inputs": inputs, "outputs": outputs}
    if labels:
        arrays["labels"] = outputs.argmax(axis=1)
        arrays["labels"][:5] = -1
    outputs[:wrong, 7] ^= 1
    np.savez(folder / "golden.npz", **arrays)


def test_a_bench_on_a_virtual_board_measures_everything(project: Path, board: Device) -> None:
    stages: list[str] = []
    measured = bench_project(
        project, board, "virtual", progress=lambda stage, done, total: stages.append(stage)
    )
    assert measured.latency_source == "modelled"
    assert (measured.board, measured.device) == ("virtual", DEVICE)
    assert (measured.inputs, measured.mismatches) == (INPUTS, 0)
    assert measured.accuracy == 15 / 20
    assert [layer.name for layer in measured.layers] == ["add bias", "copy"]
    assert 64 < measured.layers[1].cycles < measured.cycles < 2000
    assert measured.latency_ms.min <= measured.latency_ms.median <= measured.latency_ms.p95
    assert measured.latency_ms.median == pytest.approx(measured.cycles / board.clock_hz * 1000)
    assert (measured.arena_bytes, measured.identity.arena_bytes) == (192, 192)
    assert 0 < measured.stack_bytes <= 2048
    assert list(dict.fromkeys(stages)) == [
        "erasing",
        "writing",
        "verifying",
        "timing",
        "running inputs",
    ]


def test_every_differing_output_is_counted(project: Path, board: Device, bench_url: str) -> None:
    write_golden(project, wrong=3, labels=False)
    try:
        measured = bench_project(project, board, bench_url)
    finally:
        write_golden(project)
    assert (measured.mismatches, measured.accuracy) == (3, None)
    assert measured.latency_source == "modelled"  # the URL is that of a virtual board


def test_latency_on_anything_but_a_virtual_board_is_measured(
    project: Path, board: Device, start_board: Callable[[Device], AbstractContextManager[str]]
) -> None:
    """A board that no list of virtual boards names is taken for a real one."""
    with start_board(board) as url:
        unregister(url)
        assert bench_project(project, board, url, inputs=1).latency_source == "measured"


def test_fewer_inputs_can_be_asked_for(project: Path, board: Device, bench_url: str) -> None:
    assert bench_project(project, board, bench_url, inputs=4).inputs == 4


def test_firmware_that_runs_already_is_not_flashed_again(
    project: Path, board: Device, bench_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flash_image(bench_url, board, (project / "build/firmware.bin").read_bytes())
    flashed: list[str] = []
    monkeypatch.setattr(bench_module, "flash_image", lambda url, *_: flashed.append(url))
    bench_project(project, board, bench_url, inputs=1)
    assert flashed == []


def test_firmware_of_another_model_is_replaced(
    project: Path,
    board: Device,
    bench_url: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    flash_image(bench_url, board, (project / "build/firmware.bin").read_bytes())
    flashed: list[str] = []

    def refuse(url: str, *_: object) -> None:
        flashed.append(url)
        raise BoardError("This is as far as the test goes. Stop here.")

    monkeypatch.setattr(bench_module, "flash_image", refuse)
    other = copy_with(project, tmp_path, model_hash="f" * 16)
    with pytest.raises(BoardError, match="as far as the test goes"):
        bench_project(other, board, bench_url)
    assert flashed == [bench_url]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_hash": "f" * 16}, r"model hash 0123456789abcdef, the project ffffffffffffffff"),
        ({"layers": [{"name": "one"}]}, "layer count 2, the project 1"),
    ],
)
def test_firmware_that_is_not_the_projects_is_refused(
    project: Path, board: Device, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(BoardError, match=message):
        bench_project(copy_with(project, tmp_path, **change), board, "virtual")


def test_firmware_of_another_board_is_refused(project: Path, board: Device) -> None:
    twin = board.model_copy(update={"id": "twin"})
    with pytest.raises(BoardError, match=r"board stm32f407g-disc1, the project twin"):
        bench_project(project, twin, "virtual")


@pytest.mark.parametrize("missing", ["project.json", "golden.npz", "build/firmware.bin"])
def test_an_incomplete_project_names_what_is_missing(
    project: Path, board: Device, tmp_path: Path, missing: str
) -> None:
    incomplete = copy_with(project, tmp_path)
    (incomplete / missing).unlink()
    with pytest.raises(WrongInputError, match=Path(missing).name):
        bench_project(incomplete, board, "virtual")


def test_a_damaged_project_is_named(project: Path, board: Device, tmp_path: Path) -> None:
    damaged = copy_with(project, tmp_path)
    (damaged / "project.json").write_text("{}")
    with pytest.raises(
        WrongInputError, match=r"it does not say model_hash and layers\)"
    ) as refusal:
        bench_project(damaged, board, "virtual")
    assert "KeyError" not in str(refusal.value)
    (damaged / "golden.npz").write_bytes(b"PK nonsense")
    (damaged / "project.json").write_bytes((project / "project.json").read_bytes())
    with pytest.raises(WrongInputError, match=r"golden\.npz cannot be read"):
        bench_project(damaged, board, "virtual")


def as_npy(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros(4, np.int8))


@pytest.mark.parametrize(
    ("write", "why"),
    [
        (lambda path: path.write_bytes(b"no archive at all"), "no archive of plain arrays"),
        (lambda path: np.savez(path, inputs=np.array([{}])), "no archive of plain arrays"),
        (as_npy, "no archive of plain arrays"),
        (lambda path: np.savez(path, inputs=np.zeros((2, 4), np.int8)), "no outputs"),
        (
            lambda path: np.savez(
                path, inputs=np.zeros((2, 4), np.int8), outputs=np.zeros((2, 4), np.float32)
            ),
            "outputs is float32 with 2 axes, not int8",
        ),
        (
            lambda path: np.savez(
                path, inputs=np.zeros((2, 4), np.int8), outputs=np.zeros((3, 4), np.int8)
            ),
            "not as many outputs and labels as inputs",
        ),
    ],
)
def test_golden_inputs_that_are_none_are_reported_in_our_own_words(
    tmp_path: Path, write: Callable[[Path], None], why: str
) -> None:
    write(tmp_path / "golden.npz")
    with pytest.raises(WrongInputError, match=why) as refusal:
        load_golden(tmp_path, None)
    assert "pickle" not in str(refusal.value)
    assert str(refusal.value).endswith("Compile the project again.")


def test_a_firmware_that_is_not_what_was_built_is_not_verified(
    project: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(project, tmp_path / "copy"))
    assert load_firmware(copy).doubt is None
    for file in ("build/firmware.bin", "build/firmware.elf"):
        content = bytearray((project / file).read_bytes())
        content[len(content) // 2] ^= 1
        (copy / file).write_bytes(content)
        doubt = load_firmware(copy).doubt
        assert doubt is not None
        assert f"not verified: {file} changed since" in doubt
        (copy / file).write_bytes((project / file).read_bytes())
    (copy / "build/build.json").unlink()
    assert "no build.json" in str(load_firmware(copy).doubt)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_hash": "f" * 16}, "the model hash 0123456789abcdef"),
        ({"device": "nucleo-f446re"}, f"the device {DEVICE}"),
    ],
)
def test_a_firmware_that_is_older_than_the_project_is_refused_before_it_is_flashed(
    project: Path, tmp_path: Path, change: dict[str, str], message: str
) -> None:
    copy = Path(shutil.copytree(project, tmp_path / "copy"))
    description = json.loads((copy / "project.json").read_text())
    (copy / "project.json").write_text(json.dumps({**description, **change}))
    with pytest.raises(WrongInputError, match=message):
        load_firmware(copy)


def test_a_board_that_crashes_is_an_error_and_no_hang(
    project: Path,
    board: Device,
    tmp_path: Path,
    start_board: Callable[[Device], AbstractContextManager[str]],
) -> None:
    """The image's main loop is overwritten by undefined instructions behind its vectors."""
    crashing = copy_with(project, tmp_path)
    image = bytearray((crashing / "build/firmware.bin").read_bytes())
    image[64:] = b"\x00\xde" * ((len(image) - 64) // 2)
    (crashing / "build/firmware.bin").write_bytes(image)
    with start_board(board) as url, pytest.raises(BoardError):
        bench_project(crashing, board, url)


def copy_with(project: Path, folder: Path, **changes: object) -> Path:
    """A copy of the project with other keys in project.json."""
    (folder / "build").mkdir()
    description = json.loads((project / "project.json").read_text())
    (folder / "project.json").write_text(json.dumps({**description, **changes}))
    for name in ("golden.npz", "build/firmware.bin"):
        (folder / name).write_bytes((project / name).read_bytes())
    return folder

"""What was linked is called firmware once its machine code has given the golden answers."""

import re
from pathlib import Path

import numpy as np
import pytest

from automcu.boards.flashing import flash_image
from automcu.boards.link import open_link
from automcu.boards.project import load_golden
from automcu.boards.verification import build_verified
from automcu.boards.virtual import virtual_board
from automcu.boards.xtensa import can_emulate
from automcu.calibration.networks import with_random_weights
from automcu.compiler import Project, compile_graph, write_project
from automcu.errors import FirmwareDiffersError, ToolError, WrongInputError
from automcu.mcu import Device, find_device
from automcu.networks.cells.graph import architecture_graph
from automcu.networks.cells.skeleton import Architecture, Skeleton
from automcu.toolchains import Compiler, build_project, find_compiler
from benchmarks.graph_generator import random_graph

CELL = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"
SKELETON = Skeleton(stem_channels=4, cells_per_stage=1, resolution=8, classes=3)
INPUTS = 5


@pytest.fixture(scope="module")
def board() -> Device:
    return find_device("stm32f407g-disc1")


@pytest.fixture(params=["gcc", "zig"])
def compiler(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Compiler:
    monkeypatch.setenv("AUTOMCU_COMPILER", request.param)
    try:
        return find_compiler("cortex-m4")
    except ToolError as error:
        pytest.skip(str(error))


def write_network(folder: Path, device: Device, seed: int = 0) -> Path:
    graph = architecture_graph(Architecture(cell=CELL, skeleton=SKELETON))
    program = compile_graph(with_random_weights(graph, seed=seed), device)
    inputs = np.random.default_rng(0).integers(-128, 128, (INPUTS, 8, 8, 3), dtype=np.int8)
    write_project(program, device.id, folder, (), inputs)
    return folder


def break_layer(project: Path, number: int) -> None:
    """Let a layer write one byte that is wrong, as a compiler does that leaves a store out."""
    layer = Project.load(project / "project.json").layers[number]
    source = project / "model/model.c"
    call = re.search(rf"{layer.function}\(&model_arena\[\d+\].*?\);", source.read_text())
    assert call is not None
    wrong = f"{call[0]} model_arena[{layer.output_offset}] ^= 1;"
    source.write_text(source.read_text().replace(call[0], wrong, 1))


def insert_into_main(project: Path, statement: str) -> None:
    source = project / "firmware/main.c"
    before = "int main(void) {"
    assert before in source.read_text()
    source.write_text(source.read_text().replace(before, f"{before}\n    {statement}"))


def emulated_answers(project: Path, device: Device) -> np.ndarray:
    with virtual_board(device) as url:
        flash_image(url, device, (project / "build/firmware.bin").read_bytes())
        with open_link(url, device.serial.baud_rate) as link:
            return np.stack(
                [
                    np.frombuffer(link.run(one.tobytes(), count_cycles=False).output, np.int8)
                    for one in load_golden(project, None).inputs
                ]
            )


def test_a_build_is_verified_with_every_golden_input(
    tmp_path: Path, board: Device, compiler: Compiler
) -> None:
    made = build_verified(write_network(tmp_path, board), board, compiler)
    assert made.verified is not None
    assert made.verified.model_dump() == {
        "inputs": INPUTS,
        "golden_inputs": INPUTS,
        "mismatches": 0,
        "how": "on the emulated Cortex-M4",
    }
    assert (tmp_path / made.elf).is_file()
    assert not (tmp_path / "build/linked.elf").exists()


@pytest.mark.parametrize("name", ["nucleo-h743zi2", "nucleo-u575zi-q", "nrf5340-dk"])
def test_every_emulated_core_verifies(tmp_path: Path, name: str) -> None:
    device = find_device(name)
    made = build_verified(write_network(tmp_path, device), device)
    assert made.verified is not None
    assert made.verified.inputs == INPUTS


def test_code_that_computes_something_else_is_refused_and_its_layer_named(
    tmp_path: Path, board: Device, compiler: Compiler
) -> None:
    project = write_network(tmp_path, board)
    build_verified(project, board, compiler)
    layers = Project.load(project / "project.json").layers
    break_layer(project, 2)
    with pytest.raises(FirmwareDiffersError, match=f"[1-9] of {INPUTS} golden") as refusal:
        build_verified(project, board, compiler)
    assert f"first layer that differs is {layers[2].name} ({layers[2].op})" in str(refusal.value)
    # Neither the wrong firmware nor the older one can be flashed now.
    left = {path.name for path in (project / "build").iterdir()}
    assert left == {"linked.elf", "firmware.map", "objects"}


def test_an_error_that_later_layers_hide_is_found_all_the_same(
    tmp_path: Path, board: Device
) -> None:
    project = write_network(tmp_path, board)
    layers = Project.load(project / "project.json").layers
    break_layer(project, 0)
    with np.load(project / "golden.npz") as golden:
        arrays = dict(golden)
    wrong = build_project(project, board)
    assert wrong.verified is None
    # Only inputs whose answers are right all the same are left.
    answers = emulated_answers(project, board)
    hidden = (answers == arrays["outputs"].reshape(answers.shape)).all(axis=1)
    assert hidden.any()
    for name in ("inputs", "outputs", "layer_checksums"):
        arrays[name] = arrays[name][hidden]
    np.savez(project / "golden.npz", **arrays)
    with pytest.raises(FirmwareDiffersError, match=re.escape(f"differs is {layers[0].name} (")):
        build_verified(project, board)


@pytest.mark.parametrize("seed", range(4))
def test_what_each_layer_puts_out_is_where_the_project_says(
    tmp_path: Path, board: Device, seed: int
) -> None:
    program = compile_graph(random_graph(seed), board)
    shape = program.graph.tensors[program.graph.input].shape
    inputs = np.random.default_rng(seed).integers(-128, 128, (2, *shape), dtype=np.int8)
    write_project(program, board.id, tmp_path, (), inputs)
    assert build_verified(tmp_path, board).verified is not None


def test_a_firmware_that_faults_is_refused(tmp_path: Path, board: Device) -> None:
    project = write_network(tmp_path, board)
    build_project(project, board)
    insert_into_main(project, "*(volatile uint32_t *)0xF0000000u = 1u;")
    with pytest.raises(FirmwareDiffersError, match=r"faulted: .*0xf0000000.*--no-verify"):
        build_verified(project, board)


def test_a_firmware_that_is_silent_is_refused(
    tmp_path: Path, board: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("automcu.boards.verification._ANSWER_S", 0.2)
    project = write_network(tmp_path, board)
    build_project(project, board)
    insert_into_main(project, 'for (;;) { __asm__ volatile(""); }')
    with pytest.raises(FirmwareDiffersError, match="it is silent"):
        build_verified(project, board)


def test_without_golden_inputs_a_build_says_that_it_is_not_verified(
    tmp_path: Path, board: Device
) -> None:
    project = write_network(tmp_path, board)
    (project / "golden.npz").unlink()
    made = build_verified(project, board)
    assert made.verified is None
    assert "golden.npz is missing" in str(made.not_verified)


def test_golden_inputs_of_another_model_are_distinguished_from_a_wrong_firmware(
    tmp_path: Path, board: Device
) -> None:
    project = write_network(tmp_path / "project", board)
    other = write_network(tmp_path / "other", board, seed=1)
    (other / "golden.npz").replace(project / "golden.npz")
    with pytest.raises(WrongInputError, match="belongs to another model"):
        build_verified(project, board)


@pytest.mark.parametrize("left", [0, 3, 500, -10])
def test_damaged_golden_inputs_are_an_error(tmp_path: Path, board: Device, left: int) -> None:
    project = write_network(tmp_path, board)
    golden = project / "golden.npz"
    golden.write_bytes(golden.read_bytes()[:left])
    with pytest.raises(WrongInputError, match=r"golden\.npz cannot be read"):
        build_verified(project, board)


def test_an_interrupted_verification_leaves_the_older_firmware(
    tmp_path: Path, board: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = write_network(tmp_path, board)
    before = build_verified(project, board)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("automcu.boards.verification.verify_firmware", interrupt)
    with pytest.raises(KeyboardInterrupt):
        build_verified(project, board)
    assert (project / before.elf).is_file()
    assert (project / before.image).is_file()


def test_a_large_network_runs_as_many_inputs_as_the_seconds_allow(
    tmp_path: Path, board: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("automcu.boards.verification._SECONDS", 0.0)
    made = build_verified(write_network(tmp_path, board), board)
    assert made.verified is not None
    assert (made.verified.inputs, made.verified.golden_inputs) == (1, INPUTS)


class TestXtensa:
    """Of an ESP32-S3 the network's objects run, at other addresses; the answer says so."""

    @pytest.fixture
    def network(self, tmp_path: Path) -> tuple[Path, Device]:
        pytest.importorskip("esptool")
        if not can_emulate():
            pytest.skip("apt-get install qemu-system-misc gcc-xtensa-lx106: there is no QEMU")
        device = find_device("esp32-s3-devkitc-1")
        return write_network(tmp_path, device), device

    def test_objects_are_verified(self, network: tuple[Path, Device]) -> None:
        made = build_verified(*network)
        assert made.verified is not None
        assert made.verified.inputs == INPUTS
        assert "compiled objects at other addresses" in made.verified.how

    def test_wrong_objects_are_refused(self, network: tuple[Path, Device]) -> None:
        break_layer(network[0], -1)
        with pytest.raises(FirmwareDiffersError, match=f"{INPUTS} of {INPUTS} golden"):
            build_verified(*network)

    def test_without_qemu_the_reason_is_given(
        self, network: tuple[Path, Device], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("automcu.boards.verification.can_emulate", lambda: False)
        made = build_verified(*network)
        assert made.verified is None
        assert "no qemu-system-xtensa" in str(made.not_verified)

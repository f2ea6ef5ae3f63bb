"""The ESP32-S3's firmware as Xtensa code: kernels in QEMU, the whole of it in an S3 emulator.

QEMU's lx106 runs the same call0 code at other addresses; `labwired` has the S3's memories, UART
and system timer. Neither is a board: docs/esp32s3.md lists what only one can show.
"""

import importlib.util
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from automcu.boards.bench import bench_project
from automcu.boards.flashing import flash_image
from automcu.boards.project import LabelledSet
from automcu.boards.protocol import FrameReader, encode_frame
from automcu.boards.xtensa import can_emulate, differing_bytes, run_project
from automcu.calibration import random_architectures
from automcu.calibration.networks import chain, transformer_chain, with_random_weights
from automcu.compiler import compile_graph, write_project
from automcu.compiler.compile import candidates
from automcu.cost.estimation import estimate_program
from automcu.errors import DoesNotFitError, ToolError
from automcu.mcu import Device, find_device
from automcu.networks.cells.graph import architecture_graph
from automcu.networks.transformers.family import TransformerShape
from automcu.networks.transformers.survey import transformer_graph
from automcu.toolchains import build_project, find_compiler
from benchmarks.small_project import small_project

needs_qemu = pytest.mark.skipif(
    not can_emulate(),
    reason="apt-get install qemu-system-misc gcc-xtensa-lx106: there is no QEMU for Xtensa here",
)


@pytest.fixture(scope="module")
def device() -> Device:
    return find_device("esp32-s3-devkitc-1")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, device: Device) -> Path:
    try:
        find_compiler(device.core)
    except ToolError as error:
        pytest.skip(str(error))
    pytest.importorskip("esptool")
    return small_project(tmp_path_factory.mktemp("esp32s3") / "project", device)


@needs_qemu
@pytest.mark.parametrize("seed", [0, 4, 15, 28])
def test_networks_give_the_reference_s_bytes_as_xtensa_code(
    seed: int, device: Device, tmp_path: Path
) -> None:
    program = compile_graph(with_random_weights(chain(seed), seed), device)
    shape = program.graph.tensors[program.graph.input].shape
    inputs = np.random.default_rng(seed).integers(-128, 128, (3, *shape), dtype=np.int8)
    write_project(program, device.id, tmp_path / "project", (), inputs)
    assert differing_bytes(tmp_path / "project") == 0


@needs_qemu
@pytest.mark.parametrize("seed", [1, 3, 8])
@pytest.mark.parametrize("place", [0, -1], ids=["special", "portable"])
def test_transformers_and_ternary_layers_give_the_reference_s_bytes_as_xtensa_code(
    seed: int, place: int, device: Device, tmp_path: Path
) -> None:
    program = compile_graph(
        with_random_weights(transformer_chain(seed), seed),
        device,
        choose=lambda operator, graph, board: candidates(operator, graph, board)[place],
    )
    lanes = {kernel.cost_key == "ternary_lanes" for kernel in program.kernels.values()}
    assert (True in lanes) == (place == 0)
    shape = program.graph.tensors[program.graph.input].shape
    inputs = np.random.default_rng(seed).integers(-128, 128, (2, *shape), dtype=np.int8)
    write_project(program, device.id, tmp_path / "project", (), inputs)
    assert differing_bytes(tmp_path / "project") == 0


@needs_qemu
def test_a_project_is_benched_in_qemu_where_the_virtual_board_is_asked_for(
    project: Path, device: Device
) -> None:
    with np.load(project / "golden.npz") as golden:
        answers = golden["outputs"].reshape(len(golden["outputs"]), -1).argmax(axis=1)
        more = LabelledSet(inputs=golden["inputs"][:3], labels=answers[:3])
    found = bench_project(project, device, "virtual", inputs=2)
    assert (found.latency_source, found.inputs, found.mismatches) == ("modelled", 2, 0)
    assert found.cycles == sum(layer.cycles for layer in found.layers)
    assert found.latency_ms.median == pytest.approx(1e3 * found.cycles / device.clock_hz)
    assert 0 < found.stack_bytes < 4096
    tested = bench_project(project, device, "virtual", inputs=1, test_set=more)
    assert (tested.accuracy, tested.test_inputs) == (1.0, 3)


@needs_qemu
def test_cycles_are_counted_layer_by_layer_and_again_the_same(
    device: Device, tmp_path: Path
) -> None:
    program = compile_graph(with_random_weights(chain(15), 15), device)
    write_project(program, device.id, tmp_path / "project")
    run = run_project(tmp_path / "project")
    assert len(run.layers) == len(program.graph.operators)
    assert all(layer.cycles > layer.instructions > 0 for layer in run.layers)
    assert run_project(tmp_path / "project").layers == run.layers


@needs_qemu
def test_the_model_s_cycles_are_near_those_of_the_code(device: Device, tmp_path: Path) -> None:
    """Networks that the figures were not fitted to, and a transformer."""
    shape = TransformerShape(
        resolution=28, in_channels=1, classes=10, patch=7, dim=48, depth=2, heads=3, mlp_ratio=2
    )
    architectures = random_architectures(3, seed=77)
    graphs = [*(architecture_graph(one) for one in architectures), transformer_graph(shape)]
    for number, graph in enumerate(graphs):
        program = compile_graph(with_random_weights(graph, 0), device)
        folder = tmp_path / str(number)
        write_project(program, device.id, folder)
        estimate = estimate_program(program, device)
        assert estimate.latency_percent is not None
        assert run_project(folder).cycles == pytest.approx(estimate.cycles, rel=0.08)


@needs_qemu
def test_a_wrong_byte_would_be_noticed(device: Device, tmp_path: Path) -> None:
    program = compile_graph(with_random_weights(chain(15), 15), device)
    shape = program.graph.tensors[program.graph.input].shape
    folder = tmp_path / "project"
    write_project(program, device.id, folder, (), np.zeros((2, *shape), np.int8))
    with np.load(folder / "golden.npz") as golden:
        outputs = golden["outputs"].copy()
        outputs.reshape(-1)[3] ^= 1
        np.savez(folder / "golden.npz", inputs=golden["inputs"], outputs=outputs)
    assert differing_bytes(folder) == 1


def test_the_image_is_an_esp32_s3_s_and_fits_its_memories(project: Path, device: Device) -> None:
    from automcu.toolchains.build import Build

    build = Build.load(project / "build/build.json")
    image = (project / "build/firmware.bin").read_bytes()
    assert image[0] == 0xE9
    assert struct.unpack_from("<H", image, 12)[0] == 9  # the chip id of the ESP32-S3
    assert build.flash_bytes == len(image)
    assert build.weight_bytes < build.flash_bytes < device.flash_bytes
    assert build.weight_bytes < build.ram_bytes < device.ram_bytes  # weights are copied to RAM


def test_the_image_is_flashed_by_esptool(project: Path, device: Device) -> None:
    mock = pytest.importorskip("esp32_mock_bootloader")
    image = (project / "build/firmware.bin").read_bytes()
    with mock.mock_bootloader("esp32s3") as running:
        report = flash_image(running.url(), device, image)
    assert (report.method, report.written_bytes) == ("esptool", len(image))


def test_a_model_that_internal_ram_cannot_hold_is_refused(
    device: Device, tmp_path: Path, write_tiny_project: Callable[[Path, Device], Path]
) -> None:
    try:
        find_compiler(device.core)
    except ToolError as error:
        pytest.skip(str(error))
    folder = write_tiny_project(tmp_path / "project", device)
    weights = folder / "model/model_weights.c"
    weights.write_text(
        weights.read_text()
        + '\n__attribute__((section(".rodata.model_weights"), used)) const char more[300000] = "";'
    )
    with pytest.raises(DoesNotFitError, match="bytes more of dram than"):
        build_project(folder, device)


@pytest.mark.skipif(
    importlib.util.find_spec("labwired") is None,
    reason="pip install labwired: there is no emulator of the ESP32-S3 here",
)
def test_the_firmware_answers_and_infers_in_an_s3_emulator(project: Path, device: Device) -> None:
    """A golden input goes in over UART0, and the reference's bytes come out."""
    import labwired

    with (
        np.load(project / "golden.npz") as golden,
        labwired.Sim(str(project / "build/firmware.elf"), chip=device.family) as board,
    ):
        reader = FrameReader()

        def ask(command: int, data: bytes = b"") -> bytes:
            board.send_bytes(b"\0" + encode_frame(bytes((command, 1)) + data))
            for _ in range(60):
                board.run_for("2ms")
                for payload in reader.feed(board.read_uart_bytes()):
                    assert payload[:3] == bytes((command | 0x80, 1, 0))
                    return payload[3:]
            raise AssertionError(f"no answer to command {command}")

        identity = ask(1)
        assert device.id.encode() in identity
        assert struct.unpack_from("<I", identity, 9)[0] == device.clock_hz  # measured by firmware
        ask(2, bytes(4) + golden["inputs"][0].tobytes())
        assert struct.unpack("<I", ask(3, b"\x01"))[0] > 100_000
        output = ask(4, struct.pack("<IH", 0, golden["outputs"][0].size))
        assert output == golden["outputs"][0].tobytes()

"""The project folder: every file says the same as the program it was written from."""

import zlib
from pathlib import Path

import numpy as np
import pytest

from automcu.calibration.networks import with_random_weights
from automcu.compiler import (
    Program,
    Project,
    compile_graph,
    model_hash,
    quantise_inputs,
    render_model,
    write_project,
)
from automcu.compiler.graph import run_all_tensors
from automcu.compiler.project import TensorInfo
from automcu.errors import WrongInputError
from automcu.mcu import Device
from automcu.networks.cells.graph import architecture_graph
from automcu.networks.cells.skeleton import Architecture, Skeleton

CELL = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"
SKELETON = Skeleton(stem_channels=4, cells_per_stage=1, resolution=8, classes=3)
CLASSES = ("cat", "dog", "neither")


@pytest.fixture(scope="module")
def program(portable_device: Device) -> Program:
    graph = architecture_graph(Architecture(cell=CELL, skeleton=SKELETON))
    return compile_graph(with_random_weights(graph, seed=0), portable_device)


def images(count: int = 5) -> np.ndarray:
    return np.random.default_rng(0).integers(-128, 128, (count, 8, 8, 3), dtype=np.int8)


def test_the_record_is_read_back_as_it_was_written(program: Program, tmp_path: Path) -> None:
    written = write_project(program, "some-board", tmp_path, CLASSES)
    assert Project.load(tmp_path / "project.json") == written


def test_the_record_describes_the_program(program: Program, tmp_path: Path) -> None:
    project = write_project(program, "some-board", tmp_path, CLASSES)
    assert project.device == "some-board"
    assert project.class_names == CLASSES
    assert project.model_hash == model_hash(render_model(program))
    assert [layer.name for layer in project.layers] == [op.name for op in program.graph.operators]
    assert sum(layer.macs for layer in project.layers) == program.macs
    assert sum(layer.weight_bytes for layer in project.layers) == program.weight_bytes
    assert project.weight_bytes == program.weight_bytes
    assert project.input.shape == (8, 8, 3)
    assert project.output.shape == (1, 1, 3)
    assert project.layers[-1].output_shape == (1, 1, 3)


def test_the_recorded_memory_plan_lies_inside_the_arena(program: Program, tmp_path: Path) -> None:
    project = write_project(program, "some-board", tmp_path)
    assert max(span.offset + span.bytes for span in project.arena) == project.arena_bytes
    assert project.arena_lower_bound <= project.arena_bytes
    tensors = {span.tensor for span in project.arena}
    assert tensors >= {program.graph.input, program.graph.output}


def test_the_folder_holds_the_rendered_files(program: Program, tmp_path: Path) -> None:
    write_project(program, "some-board", tmp_path)
    for name, text in render_model(program).items():
        assert (tmp_path / "model" / name).read_text() == text
    assert "add_library(automcu_model" in (tmp_path / "CMakeLists.txt").read_text()


def test_golden_outputs_are_the_reference_s(program: Program, tmp_path: Path) -> None:
    labels = np.array([0, 1, 2, 0, 1])
    write_project(program, "some-board", tmp_path, CLASSES, images(), labels)
    with np.load(tmp_path / "golden.npz") as golden:
        assert golden["inputs"].dtype == golden["outputs"].dtype == np.int8
        assert np.array_equal(golden["inputs"], images())
        assert np.array_equal(golden["outputs"], program.run(images()))
        assert np.array_equal(golden["labels"], labels)


def test_without_labels_there_is_no_array_of_them(program: Program, tmp_path: Path) -> None:
    write_project(program, "some-board", tmp_path, golden_inputs=images())
    with np.load(tmp_path / "golden.npz") as golden:
        assert set(golden) >= {"inputs", "outputs"}
        assert "labels" not in golden


def test_what_has_not_changed_is_not_written_again(program: Program, tmp_path: Path) -> None:
    write_project(program, "some-board", tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "model").iterdir()}
    (tmp_path / "model" / "model.c").write_text("/* edited */\n")
    write_project(program, "some-board", tmp_path)
    after = {path: path.stat().st_mtime_ns for path in before}
    changed = {path.name for path in before if after[path] != before[path]}
    assert changed == {"model.c"}
    assert (tmp_path / "model" / "model.c").read_text() == render_model(program)["model.c"]


def test_a_record_that_was_edited_badly_names_the_file(program: Program, tmp_path: Path) -> None:
    write_project(program, "some-board", tmp_path)
    path = tmp_path / "project.json"
    path.write_text(path.read_text().replace('"arena_bytes"', '"arena"'))
    with pytest.raises(WrongInputError, match=r"project\.json is not a valid Project record"):
        Project.load(path)


def test_real_inputs_round_to_the_nearest_step_and_saturate() -> None:
    info = TensorInfo(shape=(1, 1, 6), scale=0.5, zero_point=-3)
    reals = np.array([0.0, 0.2, 0.3, -0.3, 1e9, -1e9], np.float32)
    assert quantise_inputs(reals, info).tolist() == [-3, -3, -2, -4, 127, -128]


def test_golden_inputs_carry_what_each_layer_puts_out(program: Program, tmp_path: Path) -> None:
    project = write_project(program, "some-board", tmp_path, golden_inputs=images())
    tensors = run_all_tensors(program.graph, images())
    with np.load(tmp_path / "golden.npz") as golden:
        assert str(golden["model_hash"]) == project.model_hash
        for number, operator in enumerate(program.graph.operators):
            expected = [zlib.crc32(row.tobytes()) for row in tensors[operator.output]]
            assert golden["layer_checksums"][:, number].tolist() == expected
            layer = project.layers[number]
            assert layer.output_offset == program.arena.tensor_offsets[operator.output]

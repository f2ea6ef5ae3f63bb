"""Networks under names of their own: two in one program, on a PC and on a Cortex-M."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from automcu.compiler import Project, compile_graph, render_model, write_project
from automcu.compiler.compile import portable_program
from automcu.compiler.render import checked_name, named
from automcu.errors import WrongInputError
from automcu.mcu import Device, find_device
from automcu.toolchains import build_project, find_compiler
from automcu.toolchains.compiler import (
    HostCompiler,
    ToolFailedError,
    run_tool,
    zig_command,
    zig_environment,
)
from benchmarks.graph_generator import random_graph
from benchmarks.network_check import Network, differing_on_board, differing_on_host

DEVICE = find_device("stm32f407g-disc1")
SEEDS = {"gesture": 15, "keyword": 22}  # graphs with kernels for the DSP extension
SUFFIXES = {".c", ".h", "_layers.h", "_weights.c", "_weights.h"}
HOST_COMPILERS = [
    *(HostCompiler(command=(n,), environment={}) for n in ("gcc", "clang") if shutil.which(n)),
    HostCompiler(
        command=(*zig_command(), "-fno-sanitize=undefined"), environment=zig_environment()
    ),
]


@pytest.fixture(scope="module")
def networks() -> list[Network]:
    return [network(name, seed) for name, seed in SEEDS.items()]


def network(name: str, seed: int) -> Network:
    graph = random_graph(seed)
    shape = graph.tensors[graph.input].shape
    inputs = np.random.default_rng(seed).integers(-128, 128, (3, *shape), dtype=np.int8)
    program = compile_graph(graph, DEVICE)
    return Network(name, program, inputs, program.run(inputs))


def on_a_pc(networks: list[Network]) -> list[Network]:
    return [replace(one, program=portable_program(one.program)) for one in networks]


@pytest.mark.parametrize("kind", ["gcc", "zig"])
def test_two_networks_in_one_firmware_both_answer_right(
    kind: str, networks: list[Network], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "gcc" and not shutil.which("arm-none-eabi-gcc"):
        pytest.skip("arm-none-eabi-gcc is not installed")
    monkeypatch.setenv("AUTOMCU_COMPILER", kind)
    assert differing_on_board(networks, DEVICE, tmp_path) == []


@pytest.mark.parametrize("compiler", HOST_COMPILERS, ids=lambda compiler: compiler.command[-1])
def test_two_networks_in_one_program_of_a_pc_both_answer_right(
    compiler: HostCompiler, networks: list[Network], tmp_path: Path
) -> None:
    assert differing_on_host(on_a_pc(networks), compiler, tmp_path) == []


def test_a_network_that_differs_is_found(networks: list[Network], tmp_path: Path) -> None:
    first, second = networks
    wrong = replace(second, outputs=second.outputs ^ np.int8(1))
    assert differing_on_board([first, wrong], DEVICE, tmp_path) == ["keyword"]
    assert differing_on_host(on_a_pc([wrong, first]), HOST_COMPILERS[0], tmp_path) == ["keyword"]


def test_every_symbol_macro_section_and_file_has_the_network_s_name(
    networks: list[Network],
) -> None:
    files = render_model(networks[0].program, "gesture")
    assert {file.removeprefix("gesture") for file in files} == SUFFIXES
    for file, text in files.items():
        code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
        assert not re.search(r"\b(MODEL|model)_|\"model", code), file
        assert all("gesture" in section for section in re.findall(r'section\("(.*?)"', code))
        assert all("gesture_" in line for line in re.findall(r"^extern const .*", code, re.M))


def test_the_default_name_is_the_one_that_the_templates_are_written_for(
    networks: list[Network],
) -> None:
    files = render_model(networks[0].program)
    assert {file.removeprefix("model") for file in files} == SUFFIXES
    assert "int8_t *model_input(void);" in files["model.h"]
    assert "extern const" in files["model_weights.h"]
    assert "gesture" not in "".join(files.values())
    assert {named(file, "gesture") for file in files} == set(
        render_model(networks[0].program, "gesture")
    )


@pytest.mark.parametrize("name", ["", "Gesture", "2nd", "a-b", "a b", "../x", "é", "a" * 33])
def test_what_is_no_identifier_is_no_name(name: str) -> None:
    with pytest.raises(WrongInputError, match="--name gesture"):
        checked_name(name)


@pytest.mark.parametrize("name", ["string", "math", "link", "memory", "board"])
def test_a_name_hides_no_header(name: str) -> None:
    with pytest.raises(WrongInputError, match=f"would hide the header {name}.h"):
        checked_name(name)


@pytest.mark.parametrize("suffix", ["layers", "weights"])
def test_no_file_of_two_networks_has_one_name(suffix: str) -> None:
    assert f"_{suffix}.h" in SUFFIXES
    with pytest.raises(WrongInputError, match=f"the header gesture_{suffix}.h, which one named"):
        checked_name(f"gesture_{suffix}")


def test_a_new_name_takes_the_place_of_the_old(networks: list[Network], tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/mine.c").write_text("")
    for name in ("gesture", "keyword"):
        write_project(networks[0].program, DEVICE.id, tmp_path, name=name)
    assert Project.load(tmp_path / "project.json").name == "keyword"
    left = {path.name for path in (tmp_path / "model").iterdir()}
    assert left == {"mine.c", *(f"keyword{suffix}" for suffix in SUFFIXES)}
    assert {path.name for path in (tmp_path / "portable").iterdir()} == left - {"mine.c"}


def test_the_firmware_runs_a_network_under_any_name(
    networks: list[Network], tmp_path: Path
) -> None:
    write_project(networks[0].program, DEVICE.id, tmp_path, name="gesture")
    named_build = build_project(tmp_path, DEVICE)
    assert named_build.arena_bytes == networks[0].program.arena.size
    assert named_build.weight_bytes == networks[0].program.weight_bytes
    write_project(networks[0].program, DEVICE.id, tmp_path)
    build = build_project(tmp_path, DEVICE)
    assert build.sections == named_build.sections


@pytest.mark.skipif(not shutil.which("cmake"), reason="cmake is not installed")
def test_cmake_builds_both_networks_for_unit_tests_on_this_machine(
    networks: list[Network], tmp_path: Path
) -> None:
    for one in networks:
        write_project(one.program, DEVICE.id, tmp_path / one.name, name=one.name)
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\nproject(both C)\n"
        "add_subdirectory(gesture)\nadd_subdirectory(keyword)\nadd_executable(both main.c)\n"
        "target_link_libraries(both PRIVATE automcu_gesture automcu_keyword)\n"
    )
    (tmp_path / "main.c").write_text(
        '#include "gesture.h"\n#include "keyword.h"\n'
        "int main(void) { gesture_run(); keyword_run(); return 0; }\n"
    )
    for command in (["cmake", "-S", ".", "-B", "out"], ["cmake", "--build", "out"]):
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    subprocess.run([tmp_path / "out/both"], check=True)


def objects(folder: Path, device: Device, command: list[str], flags: tuple[str, ...] = ()) -> None:
    compiler = find_compiler(device.core)
    run_tool([*command, *flags, "-c", "model.c", "-o", "model.o"], folder, compiler.environment)


def test_code_for_one_core_says_so_on_another(networks: list[Network], tmp_path: Path) -> None:
    write_project(networks[0].program, DEVICE.id, tmp_path)
    compiler = find_compiler(DEVICE.core)
    if compiler.kind != "gcc":
        pytest.skip("arm-none-eabi-gcc is not installed")
    for other in (["gcc"], [*compiler.command, "-mthumb", "-mcpu=cortex-m3"]):
        with pytest.raises(ToolFailedError, match="for a Cortex-M with the DSP extension"):
            objects(tmp_path / "model", DEVICE, other)
        objects(tmp_path / "portable", DEVICE, other)


@pytest.mark.skipif(
    not shutil.which("xtensa-lx106-elf-gcc"), reason="there is no compiler for Xtensa"
)
def test_code_for_cortex_m_says_so_on_xtensa(
    networks: list[Network], tmp_path: Path, portable_device: Device
) -> None:
    program = compile_graph(networks[0].program.graph, portable_device)
    write_project(program, DEVICE.id, tmp_path)
    with pytest.raises(ToolFailedError, match="was not compiled for Xtensa"):
        objects(tmp_path / "model", DEVICE, ["xtensa-lx106-elf-gcc"], ("-ffreestanding",))


def test_the_header_names_the_classes(networks: list[Network], tmp_path: Path) -> None:
    names = ("left", 'a "quoted" one', "back\\slash ??/", "größer\n", "MODEL_NAME")
    header = render_model(networks[0].program, "gesture", names)["gesture.h"]
    (tmp_path / "gesture.h").write_text(header)
    (tmp_path / "print.c").write_text(
        '#include <stdio.h>\n#include "gesture.h"\n'
        "static const char *const names[GESTURE_CLASS_COUNT] = GESTURE_CLASS_NAMES;\n"
        "int main(void) {\n"
        "    for (uint32_t i = 0; i < GESTURE_CLASS_COUNT; i++) {\n"
        '        printf("%s|", names[i]);\n    }\n    return 0;\n}\n'
    )
    program = HOST_COMPILERS[0].program([tmp_path / "print.c"], tmp_path / "print")
    printed = subprocess.run([program], check=True, capture_output=True).stdout.decode()
    assert printed == "".join(f"{name}|" for name in names)


def test_names_of_layers_stay_inside_their_comments() -> None:
    graph = random_graph(SEEDS["gesture"])
    operators = [replace(op, name=f"*/ broken /* \\\n{op.name}") for op in graph.operators]
    text = render_model(compile_graph(graph.with_operators(operators), DEVICE))["model.c"]
    assert "broken" in text
    assert "broken" not in re.sub(r"/\*.*?\*/", "", text, flags=re.S)

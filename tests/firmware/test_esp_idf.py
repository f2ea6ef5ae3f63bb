"""The ESP-IDF application of a project, as far as it can be checked without ESP-IDF."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from automcu.mcu import Device, find_device
from automcu.toolchains import host_compiler
from automcu.toolchains.compiler import run_tool

STUBS = Path(__file__).parent / "idf_stubs"


@pytest.fixture(scope="module")
def project(
    write_tiny_project: Callable[[Path, Device], Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("idf") / "project"
    return write_tiny_project(folder, find_device("esp32-s3-devkitc-1"))


@pytest.mark.parametrize("line", ["UART", "USB"])
def test_the_port_compiles_against_esp_idf_s_declarations(
    project: Path, line: str, tmp_path: Path
) -> None:
    compiler = host_compiler()
    folders = (STUBS, project / "firmware", project / "model")
    command = [
        *compiler.command,
        *("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-fsyntax-only"),
        f"-DCONFIG_AUTOMCU_LINE_{line}=1",
        *(f"-I{folder}" for folder in folders),
        str(project / "esp-idf/main/esp_idf_port.c"),
    ]
    assert run_tool(command, tmp_path, compiler.environment) == ""


def test_every_file_that_cmake_names_is_there(project: Path) -> None:
    lists = (project / "esp-idf/main/CMakeLists.txt").read_text()
    named = re.findall(r'"\$\{runtime\}/([\w.]+)"', lists)
    assert len(named) >= 2
    assert all((project / "firmware" / name).is_file() for name in named)
    assert (project / "esp-idf/main/esp_idf_port.c").is_file()


def test_the_component_takes_the_network_under_whatever_name(project: Path) -> None:
    component = project / "esp-idf/components/automcu_model"
    (folder,) = re.findall(
        r'CMAKE_CURRENT_LIST_DIR\}/(.*)"', (component / "CMakeLists.txt").read_text()
    )
    assert (component / folder).resolve() == project / "model"


def test_all_of_the_runtime_but_what_esp_idf_has_is_built(project: Path) -> None:
    """memory.c would define memcpy and memset a second time."""
    lists = (project / "esp-idf/main/CMakeLists.txt").read_text()
    bare_metal = {"memory.c", "esp32s3_port.c", "compiler_support.c"}
    runtime = {path.name for path in (project / "firmware").glob("*.c")} - bare_metal
    assert {name for name in runtime if name in lists} == runtime
    assert not any(name in lists for name in bare_metal)


def test_partitions_follow_each_other_inside_the_flash(project: Path) -> None:
    device = find_device("esp32-s3-devkitc-1")
    lines = (project / "esp-idf/partitions.csv").read_text().splitlines()
    rows = list(csv.reader(line for line in lines if not line.startswith("#")))
    places = [(int(row[3], 0), int(row[4], 0), row[1].strip()) for row in rows]
    end = 0x9000  # boot loader and the table itself
    for start, size, kind in places:
        assert start >= end
        assert start % (0x10000 if kind == "app" else 0x1000) == 0
        end = start + size
    assert end <= device.flash_bytes


def test_component_manifests_name_what_the_registry_asks_for(project: Path) -> None:
    text = (project / "esp-idf/components/automcu_model/idf_component.yml").read_text()
    for key in ("version:", "description:", "license:", "targets:", "idf:"):
        assert key in text

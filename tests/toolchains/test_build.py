import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from automcu.errors import DoesNotFitError, ToolError, WrongInputError
from automcu.mcu import Device, MemoryRegion, all_devices, find_device
from automcu.toolchains import (
    Build,
    Compiler,
    build_project,
    elf_sizes,
    find_compiler,
    flash_image,
    write_firmware,
)
from automcu.toolchains.build import changed_files

ONE_OF_EACH_FAMILY = {d.family: d for d in all_devices().values() if d.family.startswith("stm32")}
RUNTIME_TEXT_LIMIT = 5120  # 2 KiB of it for the MLPerf Tiny protocol


def symbols(path: Path) -> dict[str, int]:
    with path.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        return {symbol.name: symbol["st_value"] for symbol in table.iter_symbols()}


def section_addresses(path: Path) -> dict[str, int]:
    with path.open("rb") as file:
        return {s.name: s["sh_addr"] for s in ELFFile(file).iter_sections() if s["sh_size"]}


def inside(address: int, region: MemoryRegion) -> bool:
    return region.address <= address < region.address + region.size


def test_a_project_builds_and_its_record_says_what_it_takes(
    tiny_project: Path, f407: Device, compiler: Compiler
) -> None:
    build = build_project(tiny_project, f407, compiler)
    assert Build.load(tiny_project / "build/build.json") == build
    image = (tiny_project / build.image).read_bytes()
    assert build.flash_bytes == len(image)
    assert build.flash_bytes >= sum(
        build.sections[name] for name in (".isr_vector", ".text", ".model_weights", ".rodata")
    )
    assert (build.arena_bytes, build.weight_bytes) == (192, 64)
    assert build.sections[".stack"] == 2048
    assert build.ram_bytes == sum(
        size
        for name, size in build.sections.items()
        if name in (".stack", ".data", ".noinit", ".model_arena", ".bss")
    )
    assert build.compiler == str(compiler)


def test_the_runtime_is_small(tiny_project: Path, f407: Device, compiler: Compiler) -> None:
    assert build_project(tiny_project, f407, compiler).sections[".text"] <= RUNTIME_TEXT_LIMIT


@pytest.mark.parametrize("device", ONE_OF_EACH_FAMILY.values(), ids=lambda device: device.id)
def test_each_section_is_in_the_memory_that_holds_it(
    tmp_path: Path,
    write_tiny_project: Callable[[Path, Device], Path],
    device: Device,
    compiler: Compiler,
) -> None:
    project = write_tiny_project(tmp_path / "project", device)
    build_project(project, device, find_compiler(device.core))
    elf = project / "build/firmware.elf"
    at = section_addresses(elf)
    assert at[".isr_vector"] == device.region_for("code").address
    assert inside(at[".text"], device.region_for("code"))
    assert inside(at[".model_weights"], device.region_for("weights"))
    assert inside(at[".model_arena"], device.region_for("arena"))
    assert inside(at[".bss"], device.region_for("data"))
    # At the very start of its memory, so that an overflow leaves it and faults.
    assert at[".stack"] == device.region_for("stack").address
    names = symbols(elf)
    assert names["model_arena"] % 16 == 0
    assert names["__stack_top"] - names["__stack_limit"] == 2048
    assert names["__image_bytes"] == len(flash_image(elf))


def test_the_image_begins_with_stack_and_reset_handler(
    tiny_project: Path, f407: Device, compiler: Compiler
) -> None:
    build_project(tiny_project, f407, compiler)
    image = (tiny_project / "build/firmware.bin").read_bytes()
    names = symbols(tiny_project / "build/firmware.elf")
    stack, reset = (int.from_bytes(image[i : i + 4], "little") for i in (0, 4))
    assert stack == names["__stack_top"]
    assert reset == names["reset_handler"]
    assert reset % 2 == 1  # Thumb


def test_the_same_project_gives_the_same_elf_wherever_it_lies(
    tiny_project: Path, f407: Device, compiler: Compiler, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "a much longer path" / "project"
    shutil.copytree(tiny_project, elsewhere)
    for project in (tiny_project, elsewhere):
        build_project(project, f407, compiler)
    first, second = (p / "build/firmware.elf" for p in (tiny_project, elsewhere))
    assert first.read_bytes() == second.read_bytes()
    assert str(tmp_path).encode() not in first.read_bytes()


def test_a_larger_stack_is_reserved(tiny_project: Path, f407: Device, compiler: Compiler) -> None:
    write_firmware(tiny_project, f407, stack_bytes=8192)
    assert build_project(tiny_project, f407, compiler).sections[".stack"] == 8192


def test_firmware_is_added_to_a_project_that_has_none(
    tiny_project: Path, f407: Device, compiler: Compiler
) -> None:
    shutil.rmtree(tiny_project / "firmware")
    build_project(tiny_project, f407, compiler)
    assert (tiny_project / "firmware/board.h").is_file()


def test_initialised_data_is_kept_in_flash_and_counted_in_both(
    tiny_project: Path, f407: Device, compiler: Compiler
) -> None:
    before = build_project(tiny_project, f407, compiler)
    source = tiny_project / "model/model.c"
    source.write_text(
        source.read_text()
        + "extern volatile uint32_t counters[3];\nvolatile uint32_t counters[3] = {7, 8, 9};\n"
        + "void model_touch(void);\nvoid model_touch(void) { counters[0] += 1; }\n"
    )
    layers = tiny_project / "firmware/main.c"
    layers.write_text(
        layers.read_text().replace(
            "int main(void) {", "void model_touch(void);\nint main(void) {\n    model_touch();"
        )
    )
    after = build_project(tiny_project, f407, compiler)
    assert after.sections[".data"] == 12
    assert after.ram_bytes - before.ram_bytes == 12
    elf = tiny_project / "build/firmware.elf"
    image = flash_image(elf)
    offset = symbols(elf)["__data_image"] - f407.region_for("code").address
    assert image[offset : offset + 12] == bytes([7, 0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0])


def test_what_does_not_fit_is_reported_in_bytes(
    tiny_project: Path, f407: Device, compiler: Compiler
) -> None:
    header = tiny_project / "model/model.h"
    header.write_text(header.read_text().replace("ARENA_BYTES 192u", "ARENA_BYTES 131088u"))
    with pytest.raises(DoesNotFitError, match=r"needs 16 bytes more of sram"):
        build_project(tiny_project, f407, compiler)


def test_a_source_that_does_not_compile_is_reported_with_its_first_error(
    tiny_project: Path, f407: Device, compiler: Compiler
) -> None:
    (tiny_project / "model/model_weights.c").write_text("const int oops = missing;\n")
    with pytest.raises(ToolError, match=r"does not compile model/model_weights\.c.*missing"):
        build_project(tiny_project, f407, compiler)


def test_a_missing_function_is_reported_by_name(
    tiny_project: Path, f407: Device, compiler: Compiler
) -> None:
    source = tiny_project / "model/model.c"
    source.write_text(source.read_text().replace("void model_run(void)", "void other(void)"))
    with pytest.raises(ToolError, match=r"model_run|other"):
        build_project(tiny_project, f407, compiler)


def test_a_folder_without_a_model_is_reported(tmp_path: Path, f407: Device) -> None:
    with pytest.raises(WrongInputError, match=r"holds no model/model\.h"):
        build_project(tmp_path, f407)


def test_sizes_of_a_file_that_is_no_elf_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "firmware.elf"
    path.write_bytes(b"not an ELF file")
    with pytest.raises(WrongInputError, match="not an ELF file"):
        elf_sizes(path)
    with pytest.raises(WrongInputError, match="cannot be read"):
        elf_sizes(tmp_path / "absent.elf")


def test_the_firmware_of_another_board_is_replaced_where_nobody_changed_it(
    tiny_project: Path, f407: Device
) -> None:
    build_project(tiny_project, f407)
    other = find_device("nucleo-l4r5zi")
    made = build_project(tiny_project, other)
    assert made.device == other.id
    assert f'"{other.id}"' in (tiny_project / "firmware/board.h").read_text()
    assert not (tiny_project / "firmware/clock_f4_f7.c").exists()


@pytest.mark.parametrize("edited", ["main.c", "linker.ld"])
def test_edited_firmware_of_another_board_is_not_replaced(
    tiny_project: Path, f407: Device, edited: str
) -> None:
    build_project(tiny_project, f407)
    mine = tiny_project / "firmware" / edited
    mine.write_text(mine.read_text() + "/* mine */\n")
    with pytest.raises(WrongInputError, match=f"for {f407.id}.* {edited} was changed"):
        build_project(tiny_project, find_device("nucleo-f446re"))
    assert mine.read_text().endswith("/* mine */\n")


def test_a_build_knows_its_files_again(tiny_project: Path, f407: Device) -> None:
    build = build_project(tiny_project, f407)
    assert changed_files(tiny_project, build) == ()
    elf = tiny_project / build.elf
    content = bytearray(elf.read_bytes())
    content[len(content) // 2] ^= 1
    elf.write_bytes(content)
    assert changed_files(tiny_project, build) == (build.elf,)


def test_a_user_s_own_files_beside_the_firmware_stay(tiny_project: Path, f407: Device) -> None:
    mine = tiny_project / "firmware/sensor.h"
    mine.write_text("#define SENSOR 1\n")
    (tiny_project / "firmware/clock_h7.c").write_text("#error another part's\n")
    (tiny_project / "firmware/board.h").unlink()
    build_project(tiny_project, f407)
    assert mine.is_file()
    assert not (tiny_project / "firmware/clock_h7.c").exists()

import sys
from pathlib import Path

import pytest

from automcu.errors import ToolError, WrongInputError
from automcu.toolchains import find_compiler


def fake_gcc(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    gcc = folder / "arm-none-eabi-gcc"
    gcc.write_text("#!/bin/sh\necho 99.1.2\n")
    gcc.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return gcc


@pytest.fixture(autouse=True)
def no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUTOMCU_COMPILER", raising=False)


def test_gcc_is_taken_from_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gcc = fake_gcc(tmp_path, monkeypatch)
    compiler = find_compiler("cortex-m4")
    assert compiler.command == (str(gcc),)
    assert str(compiler) == "gcc 99.1.2"


def test_zig_is_taken_where_there_is_no_gcc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    compiler = find_compiler("cortex-m7")
    assert compiler.kind == "zig"
    assert compiler.command == (sys.executable, "-m", "ziglang", "cc")


def test_a_choice_is_kept_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_gcc(tmp_path, monkeypatch)
    monkeypatch.setenv("AUTOMCU_COMPILER", "zig")
    assert find_compiler("cortex-m4").kind == "zig"


def test_a_choice_that_is_missing_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("AUTOMCU_COMPILER", "gcc")
    with pytest.raises(ToolError, match=r"no compiler.*on the PATH.*apt-get install"):
        find_compiler("cortex-m4")


def test_a_choice_that_is_no_compiler_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOMCU_COMPILER", "msvc")
    with pytest.raises(WrongInputError, match=r"'msvc'.*gcc or zig"):
        find_compiler("cortex-m4")


def test_a_machine_without_any_compiler_is_reported_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ToolError, match="pip install ziglang"):
        find_compiler("cortex-m4")


def test_a_core_without_a_compiler_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"xtensa-lx7.*apt-get install gcc-xtensa-lx106"):
        find_compiler("xtensa-lx7")


def test_espressif_s_compiler_is_taken_before_debian_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, flag in (
        ("xtensa-lx106-elf-gcc", "-mtext-section-literals"),
        ("xtensa-esp32s3-elf-gcc", "-mabi=call0"),
    ):
        program = tmp_path / name
        program.write_text("#!/bin/sh\necho 12.2.0\n")
        program.chmod(0o755)
        found = find_compiler("xtensa-lx7")
        assert found.command == (str(program),)
        assert flag in found.machine_flags


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m7", "cortex-m33"])
@pytest.mark.parametrize("kind", ["gcc", "zig"])
def test_flags_choose_the_core_and_hard_float(
    core: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_gcc(tmp_path, monkeypatch)
    monkeypatch.setenv("AUTOMCU_COMPILER", kind)
    flags = " ".join(find_compiler(core).compile_flags)
    assert core.replace("-", "_") in flags.replace("-", "_")
    assert "hard" in flags or "eabihf" in flags
    assert "-O2" in flags
    assert "-ffreestanding" in flags


@pytest.mark.parametrize("home", ["/proc/nobody", None])
def test_zig_gets_a_cache_where_the_usual_place_cannot_be_written_to(
    home: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("ZIG_GLOBAL_CACHE_DIR", raising=False)
    monkeypatch.setenv("AUTOMCU_COMPILER", "zig")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    if home is None:
        monkeypatch.delenv("HOME")
    else:
        monkeypatch.setenv("HOME", home)
    assert find_compiler("cortex-m4").environment["ZIG_GLOBAL_CACHE_DIR"].startswith(str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_compiler("cortex-m4").environment == {}

import ctypes
import sys
from pathlib import Path

import pytest

from automcu.errors import ToolError
from automcu.toolchains import HostCompiler, host_compiler

ZIG = HostCompiler(
    command=(sys.executable, "-m", "ziglang", "cc", "-fno-sanitize=undefined"),
    environment={},
)


@pytest.mark.parametrize("compiler", [host_compiler(), ZIG], ids=["system", "zig"])
def test_a_shared_library_is_called_from_python(tmp_path: Path, compiler: HostCompiler) -> None:
    (tmp_path / "sum.h").write_text("int sum(int a, int b);\n")
    source = tmp_path / "sum.c"
    source.write_text('#include "sum.h"\nint sum(int a, int b) { return a + b + EXTRA; }\n')
    library = compiler.shared_library(
        [source], tmp_path / "out/sum.so", include_dirs=[tmp_path], flags=["-DEXTRA=10"]
    )
    assert ctypes.CDLL(str(library)).sum(2, 3) == 15


def test_an_error_in_the_source_is_reported(tmp_path: Path) -> None:
    source = tmp_path / "bad.c"
    source.write_text("int f(void) { return nothing; }\n")
    with pytest.raises(ToolError, match=r"does not compile bad\.so.*nothing"):
        host_compiler().shared_library([source], tmp_path / "bad.so")

"""Any bytes on the line: the frame parser and the commands under sanitizers on the host."""

from pathlib import Path

import pytest

from automcu.errors import ToolError
from benchmarks.parser_fuzz import build_fuzzer, fuzz

INPUTS = 50_000  # a million in the benchmark


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return build_fuzzer(tmp_path_factory.mktemp("fuzz") / "fuzz")
    except ToolError as error:
        pytest.skip(f"this machine's compiler has no sanitizers: {error}")


def test_no_input_makes_the_parser_do_what_c_does_not_define(fuzzer: Path) -> None:
    outcome = fuzz(fuzzer, INPUTS, seed=1)
    assert outcome.inputs == INPUTS
    assert INPUTS * 0.2 < outcome.intact < INPUTS * 0.6
    assert outcome.answers > INPUTS * 0.2


def test_sanitizers_are_really_on(fuzzer: Path, tmp_path: Path) -> None:
    """A program that reads behind an array must not get away with it."""
    wrong = tmp_path / "wrong.c"
    wrong.write_text(
        "#include <stdlib.h>\n"
        "int main(int argc, char **argv) {\n"
        "    volatile char array[4] = {0};\n"
        "    (void)argv;\n"
        "    return array[argc + 7] == 1 ? 0 : 0;\n"
        "}\n"
    )
    with pytest.raises(RuntimeError, match=r"sanitizer|overflow|out of bounds"):
        fuzz(build_fuzzer(tmp_path / "wrong", [wrong]), 1, seed=0)

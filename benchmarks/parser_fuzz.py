"""A million fuzzed inputs through the firmware's frame parser and commands, under sanitizers.

    python -m benchmarks.parser_fuzz [--inputs N] [--quick] [--json]

Noise, frames with random content, and damaged frames (benchmarks/parser_fuzz.c says how) go
through the firmware's own C, built for this machine with the address and the undefined-behaviour
sanitizer. The exit code is 1 where one of them complains.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from automcu.records import Record, resource_folder
from automcu.toolchains import host_compiler

INPUTS, QUICK_INPUTS = 1_000_000, 20_000
_HARNESS = Path(__file__).with_suffix(".c")
_MODEL = Path(__file__).parents[1] / "tests/firmware/tiny_model"
_SANITIZERS = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
# The memory functions under other names, so that the sanitizers' own are not replaced.
_RENAMED = tuple(f"-D{name}=firmware_{name}" for name in ("memcpy", "memmove", "memset"))
_TIMEOUT_S = 600.0


class FuzzOutcome(Record):
    """How many inputs were fed, how many were intact, and how many answers they got."""

    inputs: int
    intact: int
    answers: int


def build_fuzzer(output: Path, sources: Sequence[Path] | None = None) -> Path:
    """Build the harness with the firmware's runtime, or other sources, with sanitizers.

    Raises:
        ToolError: there is no compiler, or it has no sanitizers.
    """
    firmware = resource_folder("firmware")
    if sources is None:
        runtime = [p for p in sorted((firmware / "runtime").glob("*.c")) if p.stem != "main"]
        port = firmware / "ports/host/host_port.c"
        sources = [_HARNESS, *runtime, port, *sorted(_MODEL.glob("*.c"))]
    return host_compiler().program(
        sources, output, [firmware / "runtime", _MODEL], [*_SANITIZERS, *_RENAMED]
    )


def fuzz(program: Path, inputs: int, seed: int) -> FuzzOutcome:
    """Run the harness.

    Raises:
        RuntimeError: a sanitizer complained; the message is its own.
    """
    done = subprocess.run(
        [str(program), str(inputs), str(seed)],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"ended with {done.returncode}: {done.stderr}")
    numbers = [int(word) for word in done.stdout.replace(",", "").split() if word.isdigit()]
    return FuzzOutcome(**dict(zip(FuzzOutcome.model_fields, numbers, strict=True)))


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    inputs = options.inputs or (QUICK_INPUTS if options.quick else INPUTS)
    with tempfile.TemporaryDirectory() as folder:
        program = build_fuzzer(Path(folder) / "fuzz")
        started = time.monotonic()
        try:
            outcome = fuzz(program, inputs, seed=1)
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 1
    row = {**outcome.model_dump(), "complaints": 0, "seconds": round(time.monotonic() - started, 1)}
    print(json.dumps(row) if options.json else "\n".join(f"{k}: {v:,}" for k, v in row.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())

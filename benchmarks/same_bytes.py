"""Whether a change of the sources left every generated file, estimate and answer as it was.

    python -m benchmarks.same_bytes record FILE [--quick]
    python -m benchmarks.same_bytes compare FILE

`record` writes hashes: of all files of the compiled project and of the firmware around it for each
network and shipped board, of the estimate for each compiler, of linked ELFs for one board of each
family and both compilers, and of the JSON answers of the commands (times and folders left out).
`compare` makes them anew, of the same networks, and lists what differs; the exit code is 1 then.
Networks are the MLPerf Tiny ones, a transformer, a cell with int8 and one with ternary weights, and
40 random graphs over all operators (--quick: five of them, three of the boards).
"""

import argparse
import contextlib
import hashlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from automcu.boards.xtensa import can_emulate
from automcu.calibration.networks import with_random_weights
from automcu.cli.app import app
from automcu.compiler import compile_graph, import_model, write_project
from automcu.compiler.graph import Graph
from automcu.cost.estimation import estimate_program
from automcu.errors import AutomcuError
from automcu.mcu.find import find_device, shipped_devices
from automcu.mcu.profile import Device
from automcu.networks.cells.graph import architecture_graph
from automcu.networks.cells.skeleton import Architecture, Skeleton
from automcu.networks.transformers.family import TransformerShape
from automcu.networks.transformers.survey import transformer_graph
from automcu.toolchains import build_project, find_compiler, write_firmware
from benchmarks.graph_generator import random_graph
from benchmarks.mlperf_tiny import MODELS, data_folder

GRAPHS, QUICK_GRAPHS = 40, 5
QUICK_BOARDS = ("stm32f407g-disc1", "nucleo-h743zi2", "esp32-s3-devkitc-1")
LINKED = ("kws", "ternary cell", "transformer", "graph 0", "graph 1")
"""Networks whose ELFs are hashed as well; of the others the sources are."""

_CELL = (
    "|nor_conv_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|"
    "+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"
)
_TRANSFORMER = TransformerShape(resolution=28, patch=7, dim=32, depth=2, heads=2, mlp_ratio=2)
_PROCESSES = 2
_NO_RESULT = re.compile(r"second|_time|date|elapsed|cached|source", re.IGNORECASE)

Hashes = dict[str, str]


@dataclass(frozen=True)
class Task:
    """A network on a board."""

    network: str
    device: str
    linked: bool


def network_graph(name: str) -> Graph:
    """The graph of a network of this benchmark, with weights."""
    if name in MODELS:
        return import_model(data_folder() / "mlperf_tiny" / MODELS[name])
    if name == "transformer":
        return with_random_weights(transformer_graph(_TRANSFORMER), 0)
    if name.endswith("cell"):
        ternary = name == "ternary cell"
        skeleton = Skeleton(
            stem_channels=8, cells_per_stage=1, resolution=16, classes=10, ternary=ternary
        )
        return with_random_weights(
            architecture_graph(Architecture(cell=_CELL, skeleton=skeleton)), 0
        )
    return random_graph(int(name.removeprefix("graph ")))


def network_hashes(task: Task) -> Hashes:
    """Hashes of one network on one board; a refusal counts as its words."""
    device = find_device(task.device)
    key = f"{task.network} on {task.device}"
    try:
        program = compile_graph(network_graph(task.network), device)
    except AutomcuError as error:
        return {f"{key}: refused": _hash(str(error).encode())}
    shape = program.graph.tensors[program.graph.input].shape
    golden = np.random.default_rng(0).integers(-128, 128, (1, *shape), dtype=np.int8)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        write_project(program, device.id, project, golden_inputs=golden)
        write_firmware(project, device)
        for path in sorted(project.rglob("*")):
            if path.is_file() and path.suffix != ".npz":
                found[f"{key}: {path.relative_to(project)}"] = _hash(path.read_bytes())
        for kind in _compilers(device):
            with _compiler(kind):
                estimate = estimate_program(program, device).model_dump_json()
                found[f"{key}: estimate for {kind}"] = _hash(estimate.encode())
                if task.linked:
                    try:
                        build_project(project, device, find_compiler(device.core))
                        elf = next(project.rglob("firmware.elf")).read_bytes()
                    except AutomcuError as error:
                        elf = str(error).encode()
                    found[f"{key}: ELF of {kind}"] = _hash(elf)
    return found


def answer_hashes(_: None = None) -> Hashes:
    """Hashes of what the commands answer in JSON, line by line where it is long."""
    found: Hashes = {}
    with tempfile.TemporaryDirectory() as folder:
        model = str(data_folder() / "mlperf_tiny" / MODELS["ad"])
        project = f"{folder}/ad"
        board = ("--device", "nucleo-l4r5zi")
        for words in (
            ("devices",),
            ("devices", "stm32f407g-disc1"),
            ("boards",),
            ("check", model, *board),
            ("check", model, "--device", "stm32f746g-disco", "--max-latency", "0.01"),
            ("check", _CELL, *board),
            ("space", *board, "--fresh"),
            ("compile", model, *board, "--out", project),
            ("build", project),
            ("bench", project, "--board", "virtual", "--runs", "1"),
            ("check", f"{folder}/missing.tflite", *board),
            ("check", model, "--device", "nosuchboard"),
        ):
            result = CliRunner().invoke(app, [*words, "--json"])
            failure = "" if result.exit_code == 0 else result.stderr
            text = (result.stdout + failure).replace(folder, "FOLDER")
            name = " ".join(words).replace(folder, "FOLDER").replace(model, "ad.tflite")
            found[f"{name}: exit code"] = str(result.exit_code)
            found[f"{name}: answer"] = _hash(_without_times(text).encode())
    return found


def _without_times(text: str) -> str:
    with contextlib.suppress(json.JSONDecodeError):
        return json.dumps(_pruned(json.loads(text)), sort_keys=True)
    return text


def _pruned(value: object) -> object:
    if isinstance(value, dict):
        return {key: _pruned(one) for key, one in value.items() if not _NO_RESULT.search(key)}
    if isinstance(value, list):
        return [_pruned(one) for one in value]
    return value


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


@contextlib.contextmanager
def _compiler(kind: str) -> Iterator[None]:
    before = os.environ.get("AUTOMCU_COMPILER")
    os.environ["AUTOMCU_COMPILER"] = kind
    try:
        yield
    finally:
        os.environ.pop("AUTOMCU_COMPILER")
        if before is not None:
            os.environ["AUTOMCU_COMPILER"] = before


def _compilers(device: Device) -> tuple[str, ...]:
    if device.core == "xtensa-lx7":
        return ("gcc",) if can_emulate() else ()
    return ("gcc", "zig")


def tasks(quick: bool) -> list[Task]:
    """Every network on every board; one board of each family links some of them."""
    networks = [*MODELS, "transformer", "int8 cell", "ternary cell"]
    networks += [f"graph {seed}" for seed in range(QUICK_GRAPHS if quick else GRAPHS)]
    boards = [one for one in shipped_devices().values() if not quick or one.id in QUICK_BOARDS]
    first_of = {one.family: one.id for one in reversed(boards)}
    return [
        Task(name, board.id, name in LINKED and first_of[board.family] == board.id)
        for name, board in product(networks, boards)
    ]


def record(quick: bool) -> Hashes:
    """All hashes by what they are of."""
    found: Hashes = {}
    with ProcessPoolExecutor(_PROCESSES) as pool:
        answers = pool.submit(answer_hashes)
        wanted: Sequence[Task] = tasks(quick)
        for number, some in enumerate(pool.map(network_hashes, wanted), 1):
            found |= some
            print(f"\r{number}/{len(wanted)}", end="", file=sys.stderr, flush=True)
        found |= answers.result()
    print(file=sys.stderr)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verb", choices=("record", "compare"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--quick", action="store_true", help="few networks and boards")
    options = parser.parse_args()
    if options.verb == "record":
        hashes = record(options.quick)
        options.file.write_text(
            json.dumps({"quick": options.quick, "hashes": hashes}, indent=1) + "\n"
        )
        print(f"{len(hashes)} hashes in {options.file}")
        return 0
    known = json.loads(options.file.read_text())
    now = record(known["quick"])
    before: Hashes = known["hashes"]
    different = sorted(name for name in before.keys() | now if before.get(name) != now.get(name))
    for name in different:
        kind = "gone" if name not in now else "new" if name not in before else "other bytes"
        print(f"{kind}: {name}")
    print(f"{len(different)} of {len(before)} differ")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())

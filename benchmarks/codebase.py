"""How large the sources are, how far an operator or a part family is spread, what commands cost.

    python -m benchmarks.codebase [--json] [--quick] [--before TREE]

Modules, lines and their median are those of `automcu/`; import percent is the share of lines that
imports take. An operator (AddConstant, which has a kernel and parameters of its own) and a part
family (stm32l4, its profiles too) touch the files of package and firmware that name them. Each
command runs in a process of its own: `modules` is what `sys.modules` holds at the end, `heavy` the
large packages among them, `cpu_seconds` the processor time of that process, compilers that it
starts not counted. --before measures another checkout beside this one, such as
`git worktree add ../before 6ea047f`; --quick leaves `design` and `report` out.
`benchmarks/codebase.csv` holds the table of a full run.
"""

import argparse
import ast
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from benchmarks.mlperf_tiny import MODELS, data_folder

ROOT = Path(__file__).parents[1]
DEVICE = ("--device", "nucleo-l4r5zi")
SOURCES = ("automcu", "firmware")
SPREAD = {
    "operator AddConstant": (r"add_?constant", SOURCES),
    "part family stm32l4": (r"stm32_?l4", (*SOURCES, "hw_profiles")),
}
HEAVY = ("torch", "optuna", "matplotlib", "pandas", "onnxruntime", "onnx", "unicorn")
# Both the program of today and that of earlier commits, whose entry point was elsewhere.
PROGRAM = """
import json, runpy, sys, time
sys.argv = ["automcu", *json.loads(sys.argv[1])]
code = 0
try:
    runpy.run_module("automcu", run_name="__main__")
except SystemExit as end:
    code = end.code
figures = {"exit_code": code or 0, "cpu_seconds": round(time.process_time(), 2),
           "modules": len(sys.modules),
           "heavy": " ".join(one for one in HEAVY if one in sys.modules)}
open(OUT, "w").write(json.dumps(figures))
"""
Row = dict[str, object]


def sizes(tree: Path) -> list[Row]:
    """Modules and lines of the package, and the share of lines that imports take."""
    texts = [path.read_text(encoding="utf-8") for path in (tree / "automcu").rglob("*.py")]
    lines = [len(text.splitlines()) for text in texts]
    imports = sum(_import_lines(text) for text in texts)
    return [
        {"what": "modules", "value": len(texts)},
        {"what": "lines", "value": sum(lines)},
        {"what": "median lines of a module", "value": statistics.median(lines)},
        {"what": "import percent", "value": round(100 * imports / sum(lines), 1)},
    ]


def _import_lines(text: str) -> int:
    nodes = (n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Import | ast.ImportFrom))
    return sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in nodes)


def spread(tree: Path) -> list[Row]:
    """In how many files an operator and a part family are named, and which."""
    found = {}
    for what, (pattern, folders) in SPREAD.items():
        named = re.compile(pattern, re.IGNORECASE)
        files = (path for folder in folders for path in sorted((tree / folder).rglob("*")))
        found[what] = [
            path.relative_to(tree).as_posix()
            for path in files
            if path.suffix in {".py", ".j2", ".c", ".h", ".S", ".ld", ".toml"}
            and (named.search(path.read_text(encoding="utf-8")) or named.search(path.name))
        ]
    return [
        {"what": f"files of {what}", "value": len(paths), "files": paths}
        for what, paths in found.items()
    ]


def commands(tree: Path, quick: bool) -> list[Row]:
    """What each command imports and computes, in the order in which a user needs them."""
    model = str((data_folder() / "mlperf_tiny" / MODELS["ad"]).resolve())
    with tempfile.TemporaryDirectory() as folder:
        project, run = f"{folder}/project", f"{folder}/run"
        sentence = "Recognise hand-written digits on an STM32F407 discovery board"
        calls: list[tuple[str, ...]] = [
            ("--help",),
            ("devices",),
            ("boards", "--no-ask"),
            ("check", model, *DEVICE),
            ("compile", model, *DEVICE, "--out", project),
            ("build", project),
            ("flash", project, "--board", "socket://localhost:9", "--dry-run"),
            ("bench", project, "--inputs", "1", "--runs", "1"),
        ]
        if not quick:
            options = ("--data", "digits", "--budget", "1", "--training-time", "2", "--out", run)
            calls += [("design", sentence, *options), ("report", run)]
        return [_measured(tree, call, folder) for call in calls]


def _measured(tree: Path, call: tuple[str, ...], folder: str) -> Row:
    """What a command left in `sys.modules`, and its processor time.

    Raises:
        RuntimeError: it failed.
    """
    out = Path(folder, "figures.json")
    program = f"HEAVY = {HEAVY!r}\nOUT = {str(out)!r}\n{PROGRAM}"
    environment = {**os.environ, "PYTHONPATH": str(tree), "XDG_CACHE_HOME": f"{folder}/cache"}
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(call)],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
    )
    figures: Row = json.loads(out.read_text()) if out.is_file() else {"exit_code": -1}
    out.unlink(missing_ok=True)
    if figures.pop("exit_code") not in (0, 1):
        raise RuntimeError(f"automcu {' '.join(call)} failed: {done.stderr[-500:]}")
    return {"what": f"automcu {call[0]}", **figures}


def measure(tree: Path, quick: bool) -> list[Row]:
    """All figures of a checkout."""
    return [*sizes(tree), *spread(tree), *commands(tree, quick)]


def main() -> int:
    """Print the figures, those of another checkout first where one is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, metavar="TREE", help="another checkout")
    parser.add_argument("--quick", action="store_true", help="no training; writes no CSV")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    trees = {"before": options.before.resolve()} if options.before else {}
    rows = [
        {"tree": name, **row}
        for name, tree in (*trees.items(), ("now", ROOT))
        for row in measure(tree, options.quick)
    ]
    if options.json:
        print(json.dumps(rows))
        return 0
    table = pd.DataFrame(rows).drop(columns="files")
    print(table.to_string(index=False, na_rep=""))
    if not options.quick:
        table.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())

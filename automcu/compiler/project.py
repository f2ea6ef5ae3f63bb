"""The project folder: the model's C, what is known of it, and golden inputs and outputs.

A folder that holds somebody's own files, or generated ones that were edited, is not written over.
"""

import hashlib
import io
import json
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.compile import Program, portable_program
from automcu.compiler.graph import FileLayout, Tensor, run_all_tensors
from automcu.compiler.isa import INSTRUCTION_SETS
from automcu.compiler.render import (
    DEFAULT_NAME,
    checked_name,
    model_hash,
    render_cmake,
    render_model,
)
from automcu.errors import WrongInputError
from automcu.records import Record, write_atomically

_TRACED_INPUTS = 16  # as many as a build is verified with
MODEL, PORTABLE = "model", "portable"  # folders of a project: for its device, and for a PC


class TensorInfo(Record):
    """Shape (height, width, channels) and quantisation of the network's input or output.

    `file_shape` is its shape in the model file, batch included, and `file_order` that shape's axes
    as the values lie in the network's memory, the innermost last; empty where there is no file.
    """

    shape: tuple[int, int, int]
    scale: float
    zero_point: int
    file_shape: tuple[int, ...] = ()
    file_order: tuple[int, ...] = ()


class LayerInfo(Record):
    """One layer of the program; `output_offset` is where in the arena its output begins."""

    name: str
    op: str
    variant: str
    function: str
    macs: int
    weight_bytes: int
    output_shape: tuple[int, int, int]
    output_offset: int | None = None


class ArenaSpan(Record):
    """A buffer of the memory plan: `bytes` at `offset` from step `first_step` to `last_step`."""

    tensor: str
    offset: int
    bytes: int
    first_step: int
    last_step: int


class Project(Record):
    """What `project.json` says of a compiled model; `name` is what its symbols begin with."""

    name: str = DEFAULT_NAME
    device: str
    model_hash: str
    input: TensorInfo
    output: TensorInfo
    class_names: tuple[str, ...]
    layers: tuple[LayerInfo, ...]
    weight_bytes: int
    arena_bytes: int
    arena_lower_bound: int
    arena: tuple[ArenaSpan, ...]


def write_project(
    program: Program,
    device: str,
    folder: Path,
    class_names: tuple[str, ...] = (),
    golden_inputs: NDArray[np.int8] | None = None,
    golden_labels: NDArray[np.int64] | None = None,
    name: str = DEFAULT_NAME,
) -> Project:
    """Write `model/`, `CMakeLists.txt`, `golden.npz` and, last, `project.json` into `folder`.

    Where kernels are for one core alone, `portable/` holds the same network for a PC.
    `golden_inputs` are int8 [n, height, width, channels]; the integer reference computes their
    outputs. Files that hold the same content are left alone, so that builds stay valid.

    Raises:
        WrongInputError: a network cannot have this name.
    """
    files = render_model(program, checked_name(name), class_names)
    _write_files(folder / MODEL, files)
    portable = _portable_files(program, name, class_names)
    _write_files(folder / PORTABLE, portable)
    _write_if_changed(folder / "CMakeLists.txt", render_cmake(name, bool(portable)).encode())
    digest = model_hash(files)
    if golden_inputs is not None:
        write_golden(program, folder, golden_inputs, golden_labels, digest)
    project = describe(program, device, digest, class_names, name)
    project.save(folder / "project.json")
    return project


def _portable_files(program: Program, name: str, class_names: tuple[str, ...]) -> dict[str, str]:
    """The network in plain C99; nothing where it is that already."""
    special = {one.name for one in INSTRUCTION_SETS if not one.runs_on_pc}
    if not any(kernel.isa in special for kernel in program.functions):
        return {}
    return render_model(portable_program(program), name, class_names)


def _write_files(folder: Path, files: dict[str, str]) -> None:
    """Write the files; those of a network that was here before, under another name, go."""
    written = {folder / file for file in files}
    for path in written:
        _write_if_changed(path, files[path.name].encode())
    for header in folder.glob("*_layers.h"):
        former = header.name.removesuffix("_layers.h")
        for suffix in (".c", ".h", "_layers.h", "_weights.c", "_weights.h"):
            path = folder / f"{former}{suffix}"
            if path not in written:
                path.unlink(missing_ok=True)


def write_golden(
    program: Program,
    folder: Path,
    inputs: NDArray[np.int8],
    labels: NDArray[np.int64] | None,
    digest: str,
) -> None:
    """Write `golden.npz`: inputs, the reference's outputs and, where known, labels.

    Beside them are the model's hash `digest`, and checksums of every layer's output for the first
    inputs, so that a build that differs can name the layer.
    """
    arrays: dict[str, NDArray[np.generic]] = {
        "inputs": inputs,
        "outputs": program.run(inputs),
        "layer_checksums": _layer_checksums(program, inputs[:_TRACED_INPUTS]),
        "model_hash": np.array(digest),
    }
    if labels is not None:
        arrays["labels"] = labels
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
    write_atomically(folder / "golden.npz", content.getvalue())


def _layer_checksums(program: Program, inputs: NDArray[np.int8]) -> NDArray[np.uint32]:
    """The CRC-32 of every layer's output, uint32 [n, layers]."""
    tensors = run_all_tensors(program.graph, inputs)
    outputs = [tensors[operator.output] for operator in program.graph.operators]
    return np.array(
        [[zlib.crc32(output[row].tobytes()) for output in outputs] for row in range(len(inputs))],
        np.uint32,
    )


def describe(
    program: Program,
    device: str,
    digest: str,
    class_names: tuple[str, ...],
    name: str = DEFAULT_NAME,
) -> Project:
    """The record of a program."""
    graph, arena = program.graph, program.arena
    return Project(
        name=name,
        device=device,
        model_hash=digest,
        input=describe_tensor(graph.tensors[graph.input], graph.input_layout),
        output=describe_tensor(graph.tensors[graph.output], graph.output_layout),
        class_names=class_names,
        layers=tuple(
            LayerInfo(
                name=operator.name,
                op=program.title(operator),
                variant=program.kernels[operator.name].variant,
                function=program.kernels[operator.name].function,
                macs=operator.macs(graph),
                weight_bytes=program.kernels[operator.name].weight_bytes,
                output_shape=graph.tensors[operator.output].shape,
                output_offset=arena.tensor_offsets[operator.output],
            )
            for operator in graph.operators
        ),
        weight_bytes=program.weight_bytes,
        arena_bytes=arena.size,
        arena_lower_bound=arena.lower_bound,
        arena=tuple(
            ArenaSpan(
                tensor=buffer.name,
                offset=arena.offsets[buffer.name],
                bytes=buffer.size,
                first_step=buffer.first_step,
                last_step=buffer.last_step,
            )
            for buffer in arena.buffers
        ),
    )


def quantise_inputs(inputs: NDArray[np.float32], info: TensorInfo) -> NDArray[np.int8]:
    """Real inputs [n, height, width, channels] as the network's int8."""
    integers = np.rint(inputs / np.float32(info.scale)) + info.zero_point
    return np.asarray(np.clip(integers, -128, 127), np.int8)


def describe_tensor(tensor: Tensor, layout: FileLayout | None = None) -> TensorInfo:
    """The record of the network's input or output, and of how its file lays it out."""
    if tensor.quantisation is None:
        raise ValueError(f"{tensor.name} is not quantised")
    return TensorInfo(
        shape=tensor.shape,
        scale=tensor.quantisation.scale,
        zero_point=tensor.quantisation.zero_point,
        file_shape=layout.shape if layout else (),
        file_order=layout.order if layout else (),
    )


def _write_if_changed(path: Path, content: bytes) -> None:
    if not path.exists() or path.read_bytes() != content:
        write_atomically(path, content)


# Whose files an output folder holds.

_MARK = ".automcu.json"
_FOLDERS = ("model", "portable")
_LAYERS = "_layers.h"
_SUFFIXES = (".c", ".h", _LAYERS, "_weights.c", "_weights.h")  # after the network's name
# What an earlier attempt may have left before there was a mark: `compile --calibrate`'s own file.
_LEFT_BY_ATTEMPTS = {"model.int8.onnx"}


class _Mark(Record):
    """SHA-256 of the generated files by their paths in the folder; empty while they are written."""

    files: dict[str, str]


def check_output_folder(folder: Path) -> None:
    """See that a project may be written into `folder`: it is new, empty, or an unedited project.

    Raises:
        WrongInputError: it is a file, holds something else, or a generated file was edited.
    """
    if folder.exists() and not folder.is_dir():
        raise WrongInputError(f"{folder} is a file. Name a folder with --out.")
    if not folder.is_dir():
        return
    mark = folder / _MARK
    if mark.is_file():
        _check_unedited(folder, _Mark.load(mark))
        return
    foreign = sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.name not in _LEFT_BY_ATTEMPTS and not entry.name.startswith(".model.int8.onnx.")
    )
    if foreign and not _is_project(folder):
        raise WrongInputError(
            f"{folder} holds files that are not automcu's, such as {foreign[0]}. "
            "Choose a new or empty folder with --out."
        )


def begin_output(folder: Path) -> None:
    """Mark the folder as automcu's before the first file is written.

    What is half written is no project: project.json comes back as the last file.
    """
    _Mark(files={}).save(folder / _MARK)
    (folder / "project.json").unlink(missing_ok=True)


def end_output(folder: Path) -> None:
    """Remember the generated files as they were written, so that edits are noticed."""
    sums = {path.relative_to(folder).as_posix(): _sum(path) for path in _generated(folder)}
    _Mark(files=sums).save(folder / _MARK)


def _generated(folder: Path) -> list[Path]:
    """The C that was generated and is there; what a user put beside it is not ours."""
    headers = [
        header for name in _FOLDERS for header in sorted((folder / name).glob(f"*{_LAYERS}"))
    ]
    named = [header.with_name(header.name.removesuffix(_LAYERS)) for header in headers]
    paths = [name.with_name(f"{name.name}{suffix}") for name in named for suffix in _SUFFIXES]
    return [path for path in (folder / "CMakeLists.txt", *paths) if path.is_file()]


def _check_unedited(folder: Path, mark: _Mark) -> None:
    for name, expected in mark.files.items():
        path = folder / name
        if path.is_file() and _sum(path) != expected:
            raise WrongInputError(
                f"{path} was edited since it was compiled, and would be lost. Keep a copy and "
                "delete it, or choose another folder with --out."
            )


def _is_project(folder: Path) -> bool:
    """Whether the folder is a project that was written without a mark."""
    try:
        described = json.loads((folder / "project.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(described, dict) and "model_hash" in described


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

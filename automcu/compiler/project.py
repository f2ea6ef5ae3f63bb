"""The project folder: the model's C, what is known of it, and golden inputs and outputs."""

import io
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.graph import FileLayout, Tensor
from automcu.compiler.program import Program
from automcu.compiler.reference import run_all_tensors
from automcu.compiler.render import model_hash, render_cmake, render_model
from automcu.compiler.shapes import operator_macs
from automcu.records import Record, write_atomically

_TRACED_INPUTS = 16  # as many as a build is verified with


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
    """What `project.json` says of a compiled model."""

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
) -> Project:
    """Write `model/`, `CMakeLists.txt`, `golden.npz` and, last, `project.json` into `folder`.

    `golden_inputs` are int8 [n, height, width, channels]; the integer reference computes their
    outputs. Files that hold the same content are left alone, so that builds stay valid.
    """
    files = render_model(program)
    for name, text in files.items():
        _write_if_changed(folder / "model" / name, text.encode())
    _write_if_changed(folder / "CMakeLists.txt", render_cmake().encode())
    digest = model_hash(files)
    if golden_inputs is not None:
        write_golden(program, folder, golden_inputs, golden_labels, digest)
    project = describe(program, device, digest, class_names)
    project.save(folder / "project.json")
    return project


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


def describe(program: Program, device: str, digest: str, class_names: tuple[str, ...]) -> Project:
    """The record of a program."""
    graph, arena = program.graph, program.arena
    return Project(
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
                macs=operator_macs(operator, graph),
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

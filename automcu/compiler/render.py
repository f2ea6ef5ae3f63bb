"""From a program with weights to the C files of the model."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import jinja2
import numpy as np
from numpy.typing import NDArray

from automcu.compiler.graph import Operator
from automcu.compiler.kernels import ArrayShape, Kernel, LayerConstants
from automcu.compiler.kernels.armv7e_m.attention_assembly import attention_functions
from automcu.compiler.kernels.armv7e_m.ternary_assembly import shared_functions
from automcu.compiler.kernels.packing import layouts_of
from automcu.compiler.kernels.ternary_lanes import lane_functions
from automcu.compiler.lowering import lower
from automcu.compiler.program import Program
from automcu.plain_text import c_comment
from automcu.resources import resource_folder

_VALUES_PER_LINE = 24
_HASH_BYTES = 8
_ELEMENT_TYPES = {"channel_constants": "int32_t"}  # arrays of records are written as their numbers


@dataclass(frozen=True)
class _Array:
    symbol: str
    c_type: str
    length: int
    size: int
    rows: tuple[str, ...]


@dataclass(frozen=True)
class _Layer:
    index: int
    title: str
    name: str
    shapes: str
    kernel: str
    function: str
    arguments: tuple[str, ...]
    parameters_type: str | None
    fields: tuple[tuple[str, str], ...]
    arrays: tuple[_Array, ...]


def render_model(program: Program) -> dict[str, str]:
    """Return the model's C files by name; the graph must hold its weights.

    `model.h` is what an application includes; its MODEL_HASH is a digest of all other content.
    """
    layers = tuple(_layer(index, op, program) for index, op in enumerate(program.graph.operators))
    environment = _environment()
    kernels = program.functions
    special = any(kernel.variant.startswith("armv7e-m") for kernel in kernels)
    context = {
        "layers": layers,
        "kernels": tuple(_kernel_sources(program, environment)),
        "parameter_types": sorted({kernel.parameters_type or "" for kernel in kernels}),
        "residual": any(kernel.settings.get("residual") for kernel in kernels),
        "weight_offsets": any(kernel.settings.get("offsets") for kernel in kernels),
        "stripes": any(kernel.parts for kernel in kernels),
        "arena_bytes": program.arena.size,
        "input": program.graph.tensors[program.graph.input],
        "output": program.graph.tensors[program.graph.output],
        "input_offset": program.arena.tensor_offsets[program.graph.input],
        "output_offset": program.arena.tensor_offsets[program.graph.output],
        "arithmetic": _kernel_file("arithmetic.h"),
        "parameters": _kernel_file("parameters.h"),
        "unpack": _unpack_source(program, environment),
        "ternary": _ternary_source(program, environment),
        "ternary_lanes": _lanes_source(program, environment),
        "attention": _attention_source(program, environment),
        "armv7e_m": _kernel_file("armv7e_m.h") if special else "",
        "armv7e_m_block": _kernel_file("armv7e_m_block.h") if special else "",
    }
    files = {
        name: environment.get_template(f"templates/{name}.j2").render(context)
        for name in ("model.c", "model_weights.c", "model_weights.h", "model_layers.h")
    }
    digest = hashlib.sha256("".join(files[name] for name in sorted(files)).encode()).digest()
    header = environment.get_template("templates/model.h.j2").render(
        context, hash_bytes=digest[:_HASH_BYTES]
    )
    return files | {"model.h": header}


def model_hash(files: dict[str, str]) -> str:
    """The hash in `model.h` as 16 hexadecimal digits."""
    digest = hashlib.sha256(
        "".join(files[name] for name in sorted(files) if name != "model.h").encode()
    ).digest()
    return digest[:_HASH_BYTES].hex()


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(resource_folder("firmware")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # C, not HTML
    )


def _kernel_file(name: str) -> str:
    return (resource_folder("firmware") / "kernels" / name).read_text()


def _unpack_source(program: Program, environment: jinja2.Environment) -> str:
    """One function for each width of narrow weights, which all kernels share."""
    layouts = layouts_of(program.functions)
    return (
        environment.get_template("kernels/unpack.h.j2").render(layouts=layouts) if layouts else ""
    )


def _ternary_source(program: Program, environment: jinja2.Environment) -> str:
    """The functions in assembly that all ternary kernels share."""
    functions = shared_functions(program.functions)
    template = environment.get_template("kernels/armv7e_m_ternary.h.j2")
    return template.render(functions=functions) if functions else ""


def _lanes_source(program: Program, environment: jinja2.Environment) -> str:
    """The functions that all ternary kernels in lanes share."""
    functions = lane_functions(program.functions)
    template = environment.get_template("kernels/ternary_lanes.h.j2")
    return template.render(functions) if functions else ""


def _attention_source(program: Program, environment: jinja2.Environment) -> str:
    """The functions in assembly that kernels of attention share."""
    functions = attention_functions(program.functions)
    template = environment.get_template("kernels/armv7e_m_attention.h.j2")
    return template.render(functions=functions) if functions else ""


def _kernel_sources(program: Program, environment: jinja2.Environment) -> Iterator[str]:
    """One function for each distinct shape; layers of equal shape share it."""
    for kernel in program.functions:
        template = environment.get_template(f"kernels/{kernel.template}")
        yield template.render(k={**kernel.settings, "function": kernel.function}).strip()


def _layer(index: int, operator: Operator, program: Program) -> _Layer:
    graph, kernel = program.graph, program.kernels[operator.name]
    constants = kernel.pack(operator, graph, lower(operator, graph))
    arrays = tuple(_array(index, shape, constants) for shape in kernel.arrays)
    fields = [(array.name, _symbol(index, array)) for array in kernel.arrays]
    return _Layer(
        index=index,
        title=program.title(operator),
        name=c_comment(operator.name),
        shapes=" -> ".join(
            "x".join(str(size) for size in graph.tensors[name].shape)
            for name in (operator.inputs[0], operator.output)
        ),
        kernel=_choice(kernel),
        function=kernel.function,
        arguments=_arguments(index, operator, kernel, program),
        parameters_type=kernel.parameters_type,
        fields=(*fields, *constants.fields.items()),
        arrays=arrays,
    )


def _choice(kernel: Kernel) -> str:
    """The kernel, and by how many modelled cycles it beat the next best."""
    if not kernel.candidates:
        return kernel.variant
    chosen, second = kernel.candidates[:2]
    return f"{chosen.variant}, {chosen.cycles} cycles (modelled; {second.variant}: {second.cycles})"


def _arguments(index: int, operator: Operator, kernel: Kernel, program: Program) -> tuple[str, ...]:
    offsets = [program.arena.tensor_offsets[name] for name in (*operator.inputs, operator.output)]
    if kernel.scratch_bytes:
        offsets.append(program.arena.scratch_offsets[operator.name])
    arguments = [f"&model_arena[{offset}]" for offset in offsets]
    if kernel.parameters_type:
        arguments.append(f"&layer_{index}")
    return tuple(arguments)


def _symbol(index: int, array: ArrayShape) -> str:
    return f"layer_{index}_{array.name.replace('.', '_')}"


def _array(index: int, shape: ArrayShape, constants: LayerConstants) -> _Array:
    values = constants.arrays[shape.name]
    padding = (shape.size - values.nbytes) // values.itemsize
    if padding:
        values = np.concatenate([values, np.zeros(padding, values.dtype)])
    if values.nbytes != shape.size:
        raise ValueError(f"{shape.name} holds {values.nbytes} bytes where {shape.size} are planned")
    element_type = _ELEMENT_TYPES.get(shape.c_type, shape.c_type)
    return _Array(
        symbol=_symbol(index, shape),
        c_type=shape.c_type,
        length=shape.size // (8 if element_type != shape.c_type else values.itemsize),
        size=shape.size,
        rows=tuple(_rows(values, grouped=element_type != shape.c_type)),
    )


def _rows(values: NDArray[np.generic], grouped: bool) -> Iterable[str]:
    numbers = [_literal(int(value)) for value in values.tolist()]
    if grouped:
        numbers = [f"{{{a}, {b}}}" for a, b in zip(numbers[::2], numbers[1::2], strict=True)]
    per_line = _VALUES_PER_LINE // (6 if grouped else 1)
    for first in range(0, len(numbers), per_line):
        yield ", ".join(numbers[first : first + per_line])


def _literal(value: int) -> str:
    """A C integer constant; the most negative int32 has no literal of its own type."""
    return str(value) if value != -(1 << 31) else f"({value + 1} - 1)"


def render_cmake() -> str:
    """The CMake file that makes the model a library target of a user's firmware."""
    return _environment().get_template("templates/CMakeLists.txt.j2").render()

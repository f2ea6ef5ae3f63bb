"""From a program with weights to the C files of the model."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import jinja2
import numpy as np
from numpy.typing import NDArray

from automcu.compiler.graph import Operator
from automcu.compiler.isa.armv7e_m.attention_assembly import attention_functions
from automcu.compiler.isa.armv7e_m.ternary_assembly import shared_functions
from automcu.compiler.isa.xtensa_lx7.ternary import lane_functions
from automcu.compiler.kernel import ArrayShape, Kernel, LayerConstants
from automcu.compiler.lowering import lower
from automcu.compiler.naming import DEFAULT_NAME, named
from automcu.compiler.program import Program
from automcu.compiler.weight_packing import layouts_of
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


def render_model(
    program: Program, name: str = DEFAULT_NAME, class_names: tuple[str, ...] = ()
) -> dict[str, str]:
    """Return the model's C files by name; the graph must hold its weights.

    `name`.h is what an application includes; its hash is a digest of all other content.
    """
    environment = _environment(name)
    layers = tuple(
        _layer(index, operator, program, name)
        for index, operator in enumerate(program.graph.operators)
    )
    kernels = program.functions
    special = any(kernel.variant.startswith("armv7e-m") for kernel in kernels)
    context = {
        "name": name,
        "layers": layers,
        "kernels": tuple(_kernel_sources(program, environment)),
        "parameter_types": sorted({kernel.parameters_type or "" for kernel in kernels}),
        "residual": any(kernel.settings.get("residual") for kernel in kernels),
        "weight_offsets": any(kernel.settings.get("offsets") for kernel in kernels),
        "stripes": any(kernel.parts for kernel in kernels),
        "xtensa": program.core == "xtensa-lx7",
        "arena_bytes": program.arena.size,
        "input": program.graph.tensors[program.graph.input],
        "output": program.graph.tensors[program.graph.output],
        "input_offset": program.arena.tensor_offsets[program.graph.input],
        "output_offset": program.arena.tensor_offsets[program.graph.output],
        "class_names": tuple(map(_string_literal, class_names)),
        "arithmetic": _kernel_file("arithmetic.h", name),
        "parameters": _kernel_file("parameters.h", name),
        "unpack": _unpack_source(program, environment),
        "ternary": _ternary_source(program, environment),
        "ternary_lanes": _lanes_source(program, environment),
        "attention": _attention_source(program, environment),
        "armv7e_m": _kernel_file("armv7e_m.h", name) if special else "",
        "armv7e_m_block": _kernel_file("armv7e_m_block.h", name) if special else "",
    }
    files = {
        named(file, name): environment.get_template(f"templates/{file}.j2").render(context)
        for file in ("model.c", "model_weights.c", "model_weights.h", "model_layers.h")
    }
    header = environment.get_template("templates/model.h.j2").render(
        context, hash_bytes=_digest(files)
    )
    return files | {f"{name}.h": header}


def model_hash(files: dict[str, str]) -> str:
    """The hash in the header as 16 hexadecimal digits."""
    headers = {file.removesuffix("_layers.h") + ".h" for file in files}
    return _digest({file: text for file, text in files.items() if file not in headers}).hex()


def _digest(files: dict[str, str]) -> bytes:
    content = "".join(files[file] for file in sorted(files))
    return hashlib.sha256(content.encode()).digest()[:_HASH_BYTES]


def _environment(name: str) -> jinja2.Environment:
    folder = resource_folder("firmware")
    return jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda path: named((folder / path).read_text(), name)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # C, not HTML
    )


def _kernel_file(file: str, name: str) -> str:
    return named((resource_folder("firmware") / "kernels" / file).read_text(), name)


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


def _layer(index: int, operator: Operator, program: Program, name: str) -> _Layer:
    graph, kernel = program.graph, program.kernels[operator.name]
    constants = kernel.pack(operator, graph, lower(operator, graph))
    prefix = "" if name == DEFAULT_NAME else f"{name}_"
    arrays = tuple(_array(f"{prefix}layer_{index}", shape, constants) for shape in kernel.arrays)
    fields = [
        (shape.name, array.symbol) for shape, array in zip(kernel.arrays, arrays, strict=True)
    ]
    return _Layer(
        index=index,
        title=c_comment(program.title(operator)),
        name=c_comment(operator.name),
        shapes=" -> ".join(
            "x".join(str(size) for size in graph.tensors[name].shape)
            for name in (operator.inputs[0], operator.output)
        ),
        kernel=_choice(kernel),
        function=kernel.function,
        arguments=_arguments(index, operator, kernel, program, name),
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


def _arguments(
    index: int, operator: Operator, kernel: Kernel, program: Program, name: str
) -> tuple[str, ...]:
    offsets = [program.arena.tensor_offsets[name] for name in (*operator.inputs, operator.output)]
    if kernel.scratch_bytes:
        offsets.append(program.arena.scratch_offsets[operator.name])
    arguments = [f"&{name}_arena[{offset}]" for offset in offsets]
    if kernel.parameters_type:
        arguments.append(f"&layer_{index}")
    return tuple(arguments)


def _array(layer: str, shape: ArrayShape, constants: LayerConstants) -> _Array:
    values = constants.arrays[shape.name]
    padding = (shape.size - values.nbytes) // values.itemsize
    if padding:
        values = np.concatenate([values, np.zeros(padding, values.dtype)])
    if values.nbytes != shape.size:
        raise ValueError(f"{shape.name} holds {values.nbytes} bytes where {shape.size} are planned")
    element_type = _ELEMENT_TYPES.get(shape.c_type, shape.c_type)
    return _Array(
        symbol=f"{layer}_{shape.name.replace('.', '_')}",
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


def _string_literal(text: str) -> str:
    """Text as a C string literal of UTF-8; a question mark could begin a trigraph."""
    return '"' + "".join(map(_escaped, text.encode())) + '"'


def _escaped(byte: int) -> str:
    plain = 0x20 <= byte < 0x7F and chr(byte) not in '"\\?'
    return chr(byte) if plain else f"\\{byte:03o}"


def render_cmake(name: str = DEFAULT_NAME, portable: bool = False) -> str:
    """The CMake file that makes the model a library target of a user's firmware.

    With `portable` there is a folder of that name beside it, with code for the PC itself.
    """
    template = _environment(name).get_template("templates/CMakeLists.txt.j2")
    return template.render(name=name, portable=portable)

"""From a program with weights to the C files of the model, under the network's name.

The name is what its symbols, macros, sections and files begin with.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
from numpy.typing import NDArray

from automcu.compiler.compile import Program
from automcu.compiler.graph import Operator
from automcu.compiler.isa import INSTRUCTION_SETS
from automcu.compiler.kernel import (
    CHANNEL_CONSTANTS,
    SHARED_RECORDS,
    ArrayShape,
    Kernel,
    LayerConstants,
    SharedCode,
)
from automcu.errors import WrongInputError, c_comment
from automcu.mcu.core import core_named
from automcu.records import resource_folder

_VALUES_PER_LINE = 24
_HASH_BYTES = 8
_FOLDER = Path(__file__).parent
_ARITHMETIC = _FOLDER / "arithmetic.h"
DEFAULT_NAME = "model"  # the templates are written for it
_LONGEST = 32
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_PREFIX = re.compile(r"\bmodel(?=_|\.[ch]\b)")
_MACRO_PREFIX = re.compile(r"\bMODEL(?=_)")
# What the files beside NAME.h and NAME.c are called: those of `gesture` are gesture_weights.h, ...
_FILE_SUFFIXES = ("_layers", "_weights")
# Headers of C and POSIX that a file of the same name would hide from its includer.
_STANDARD_HEADERS = """
    aio assert complex ctype dirent dlfcn endian errno fcntl fenv float inttypes iso646 libgen
    limits locale malloc math memory pthread sched setjmp signal stdalign stdarg stdatomic stdbool
    stddef stdint stdio stdlib string strings tgmath threads time uchar unistd wchar wctype
"""


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
    context = {
        "name": name,
        "guard": _guard(program, environment),
        "layers": layers,
        "shared_records": [record.declaration() for record in SHARED_RECORDS],
        "records": _records(program),
        "code": (*_shared_code(program, environment), *_kernel_code(program, environment)),
        "moves_memory": any(kernel.parts for kernel in program.functions),
        "arena_bytes": program.arena.size,
        "input": program.graph.tensors[program.graph.input],
        "output": program.graph.tensors[program.graph.output],
        "input_offset": program.arena.tensor_offsets[program.graph.input],
        "output_offset": program.arena.tensor_offsets[program.graph.output],
        "class_names": tuple(map(_string_literal, class_names)),
    }
    templates = resource_folder("firmware") / "templates"
    files = {
        named(file, name): _render(templates / f"{file}.j2", environment, context)
        for file in ("model.c", "model_weights.c", "model_weights.h", "model_layers.h")
    }
    header = _render(
        templates / "model.h.j2", environment, {**context, "hash_bytes": _digest(files)}
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
    """Templates by their paths; those without a folder before them lie in the compiler's."""
    return jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda path: named((_FOLDER / path).read_text(), name)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # C, not HTML
    )


def _render(template: Path, environment: jinja2.Environment, context: Mapping[str, object]) -> str:
    return environment.get_template(str(template)).render(context)


def _guard(program: Program, environment: jinja2.Environment) -> str:
    """What refuses other machines than those that the code is for; nothing for any machine."""
    used = {kernel.isa for kernel in program.functions}
    of_core = core_named(program.core).kernel_sets if program.core else {}
    for one in INSTRUCTION_SETS:
        if one.name in (of_core if one.runs_on_pc else used):
            return _render(one.guard, environment, {})
    return ""


def _records(program: Program) -> list[str]:
    """The types of the parameters of all layers, but for those that kernels declare themselves."""
    functions = program.functions
    settings = [kernel.settings for kernel in functions]
    records = {
        kernel.parameters.name: kernel.parameters
        for kernel in functions
        if kernel.parameters and not kernel.parts and kernel.parameters not in SHARED_RECORDS
    }
    ordered = sorted(records.values(), key=lambda record: (record.order, record.name))
    return [record.declaration(settings) for record in ordered]


def _shared_code(program: Program, environment: jinja2.Environment) -> Iterator[str]:
    """Arithmetic, the headers of the instruction sets, and functions that kernels share."""
    yield _render(_ARITHMETIC, environment, {}).strip()
    used = {kernel.isa for kernel in program.functions}
    for one in INSTRUCTION_SETS:
        if one.name in used:
            for header in one.headers:
                yield _render(header, environment, {}).strip()
    shared: dict[Path, SharedCode] = {
        code.template: code for kernel in program.functions for code in kernel.shared_code
    }
    for code in sorted(shared.values(), key=lambda code: (code.order, code.template.name)):
        yield _render(code.template, environment, code.context(program.functions)).strip()


def _kernel_code(program: Program, environment: jinja2.Environment) -> Iterator[str]:
    """One function for each distinct shape; layers of equal shape share it."""
    for kernel in program.functions:
        settings = {**kernel.settings, "function": kernel.function}
        yield _render(kernel.template, environment, {"k": settings}).strip()


def _layer(index: int, operator: Operator, program: Program, name: str) -> _Layer:
    graph, kernel = program.graph, program.kernels[operator.name]
    constants = kernel.pack(operator.lower(graph))
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
    # Arrays of records are written as their numbers.
    is_record = shape.c_type == CHANNEL_CONSTANTS.name
    return _Array(
        symbol=f"{layer}_{shape.name.replace('.', '_')}",
        c_type=shape.c_type,
        length=shape.size // (8 if is_record else values.itemsize),
        size=shape.size,
        rows=tuple(_rows(values, grouped=is_record)),
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
    template = resource_folder("firmware") / "templates" / "CMakeLists.txt.j2"
    return _render(template, _environment(name), {"name": name, "portable": portable})


def checked_name(name: str) -> str:
    """Return `name` if a network can have it.

    Raises:
        WrongInputError: it is no C identifier in small letters, or the name of a header, of which
            another network's files are one kind.
    """
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise WrongInputError(
            f"A network cannot be named {name!r}. Take small letters, digits and underscores, "
            f"beginning with a letter, {_LONGEST} at most: --name gesture."
        )
    if name in {*_STANDARD_HEADERS.split(), *_firmware_headers()}:
        raise WrongInputError(
            f"A network named {name!r} would hide the header {name}.h. Choose another --name."
        )
    if name.endswith(_FILE_SUFFIXES):
        other = name.rpartition("_")[0]
        raise WrongInputError(
            f"A network named {name!r} would have the header {name}.h, which one named {other!r} "
            "has too. Choose another --name."
        )
    return name


def _firmware_headers() -> set[str]:
    return {path.stem for path in resource_folder("firmware").rglob("*.h")} | {"board"}


def named(text: str, name: str) -> str:
    """C that was written for a network named `model`, for one named `name`."""
    if name == DEFAULT_NAME:
        return text
    return _MACRO_PREFIX.sub(name.upper(), _PREFIX.sub(name, text))

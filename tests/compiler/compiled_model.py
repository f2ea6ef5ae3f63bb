"""The generated C, compiled for this machine and called as an application would."""

import ctypes
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automcu.compiler import Program, render_model
from automcu.toolchains import host_compiler

Values = NDArray[np.int8]
STRICT = ("-Werror", "-O0")


def write_sources(program: Program, folder: Path) -> list[Path]:
    """Write the model's files into `folder`; returns those to compile."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in render_model(program).items():
        (folder / name).write_text(text)
    return [folder / "model.c", folder / "model_weights.c"]


class CompiledModel:
    """A program's C as a loaded library, in a folder of its own below `folder`.

    The loader takes a second library at one path for the first.
    """

    def __init__(self, program: Program, folder: Path, flags: tuple[str, ...] = STRICT) -> None:
        self.program = program
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(dir=folder))
        library = host_compiler().shared_library(
            write_sources(program, self.folder), self.folder / "model.so", flags=flags
        )
        self._library = ctypes.CDLL(str(library))
        self._library.model_input.restype = ctypes.POINTER(ctypes.c_int8)
        self._library.model_output.restype = ctypes.POINTER(ctypes.c_int8)
        self.arena = np.ctypeslib.as_array(
            (ctypes.c_int8 * program.arena.size).in_dll(self._library, "model_arena")
        )

    def run(self, inputs: Values) -> Values:
        """Outputs [n, features] for inputs [n, height, width, channels], one after the other."""
        graph = self.program.graph
        size = graph.tensors[graph.output].size
        outputs = np.empty((len(inputs), size), np.int8)
        for index, values in enumerate(inputs):
            ctypes.memmove(self._library.model_input(), values.tobytes(), values.size)
            self._library.model_run()
            outputs[index] = np.ctypeslib.as_array(self._library.model_output(), (size,))
        return outputs

    def run_layers(self, values: Values) -> dict[str, Values]:
        """Each layer's result for one input, by tensor name, read as soon as it is computed."""
        graph, offsets = self.program.graph, self.program.arena.tensor_offsets
        ctypes.memmove(self._library.model_input(), values.tobytes(), values.size)
        results = {}
        for index, operator in enumerate(graph.operators):
            self._library.model_run_layer(index)
            tensor = graph.tensors[operator.output]
            first = offsets[tensor.name]
            results[tensor.name] = self.arena[first : first + tensor.size].reshape(tensor.shape)
            results[tensor.name] = results[tensor.name].copy()
        return results

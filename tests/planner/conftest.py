"""A server on this machine that speaks OpenAI's protocol and answers as a test wants it to."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

Script = Callable[[BaseHTTPRequestHandler, dict[str, Any], int], None]


class LocalServer:
    """Answers with a script; keeps the requests that it got."""

    def __init__(self, script: Script) -> None:
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.keys.append(self.headers["Authorization"])
                outer.requests.append(body)
                script(self, body, len(outer.requests))

            def log_message(self, format: str, *args: Any) -> None:
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[[Script], LocalServer]]:
    running: list[LocalServer] = []

    def start(script: Script) -> LocalServer:
        running.append(LocalServer(script))
        return running[-1]

    yield start
    for server in running:
        server.stop()


COUNTED = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


def _raw(
    handler: BaseHTTPRequestHandler,
    body: bytes,
    status: int = 200,
    kind: str = "application/json",
    encoding: str = "identity",
) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Encoding", encoding)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def _complete(handler: BaseHTTPRequestHandler, content: Any, usage: Any = COUNTED) -> None:
    message = {"role": "assistant", "content": content}
    completion = {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "test",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": usage,
    }
    _raw(handler, json.dumps(completion).encode())


@pytest.fixture
def raw() -> Callable[..., None]:
    """Return a function that sends a body as it is."""
    return _raw


@pytest.fixture
def complete() -> Callable[..., None]:
    """Return a function that sends a completion with any content and usage."""
    return _complete


@pytest.fixture
def reply() -> Callable[..., None]:
    """Return a function that sends a completion with this text, or another status."""

    def send(handler: BaseHTTPRequestHandler, text: str, status: int = 200) -> None:
        if status == 200:
            _complete(handler, text)
        else:
            _raw(handler, json.dumps({"error": {"message": text}}).encode(), status)

    return send

"""An HTTP client that reads so many bytes for so long, however much a server sends."""

import time
from collections.abc import Iterator

from openai import DefaultHttpxClient

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

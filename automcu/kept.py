"""Entries of the cache: what can be made anew, trusted only while it is undamaged.

An entry begins with a hash of the rest. One that is cut short or changed counts as missing.
"""

import hashlib
from pathlib import Path

from automcu.errors import AutomcuError
from automcu.records import write_atomically

_DIGEST_LETTERS = 64


def read_kept(path: Path) -> bytes | None:
    """Return the entry's content; None where it is missing or damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, body = content[:_DIGEST_LETTERS], content[_DIGEST_LETTERS:]
    return body if hashlib.sha256(body).hexdigest().encode() == digest else None


def keep(path: Path, body: bytes) -> None:
    """Write the entry; a folder that cannot be written to only means that nothing is kept."""
    try:
        write_atomically(path, hashlib.sha256(body).hexdigest().encode() + body)
    except AutomcuError:
        return

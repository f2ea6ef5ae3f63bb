"""The name of a network in C: what its symbols, macros, sections and files begin with."""

import re

from automcu.errors import WrongInputError
from automcu.resources import resource_folder

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

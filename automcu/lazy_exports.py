"""Public names of packages whose modules are slow to import.

The fast answers of the command line (a survey from the cache, a list of boards) need little of what
their packages hold; importing the rest would take longer than the answer (PEP 562).
"""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def lazy_exports(package: str, names: Mapping[str, tuple[str, ...]]) -> Callable[[str], object]:
    """Return `__getattr__` for `package`: it imports a name's module when the name is first used.

    `names` are the public names by module. No module of the package may be called like a public
    name: once imported, it would hide it.
    """
    modules = {name: module for module, exported in names.items() for name in exported}

    def get(name: str) -> object:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{modules[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return get

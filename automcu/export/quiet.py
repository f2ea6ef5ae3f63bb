"""onnxruntime without the warnings that it prints for every model it quantises."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import onnxruntime

LOG_WARNINGS = 2
LOG_ERRORS = 3
"""onnxruntime's own severities; 2 is its default."""


@contextmanager
def quiet_onnxruntime() -> Iterator[None]:
    """Hide warnings of onnxruntime and its Python tools inside the block; errors still show."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    onnxruntime.set_default_logger_severity(LOG_ERRORS)
    try:
        yield
    finally:
        onnxruntime.set_default_logger_severity(LOG_WARNINGS)
        root.setLevel(before)

"""The order in which NAS-Bench-201 numbers its 15,625 cells.

The benchmark lists every cell lexicographically and shuffles the list with Python's generator
seeded with 88 (AutoDL-Projects, exps/NAS-Bench-201/main.py, `generate_meta_info`). So the order
is computed here rather than shipped. The shuffle is spelled out because Python only promises that
`getrandbits` repeats across versions, not that `random.shuffle` does.
"""

from functools import lru_cache
from random import Random

CELL_COUNT = 5**6

_BENCHMARK_SEED = 88


@lru_cache(maxsize=1)
def codes_by_index() -> tuple[int, ...]:
    """Return, for every benchmark index, the cell's lexicographic code.

    A code is a number of six base-5 digits, one operation per edge, first edge first.
    """
    generator = Random(_BENCHMARK_SEED)
    codes = list(range(CELL_COUNT))
    for last in range(CELL_COUNT - 1, 0, -1):
        chosen = _random_below(generator, last + 1)
        codes[last], codes[chosen] = codes[chosen], codes[last]
    return tuple(codes)


@lru_cache(maxsize=1)
def indices_by_code() -> tuple[int, ...]:
    """Return, for every lexicographic code, the benchmark's index of that cell."""
    indices = [0] * CELL_COUNT
    for index, code in enumerate(codes_by_index()):
        indices[code] = index
    return tuple(indices)


def _random_below(generator: Random, bound: int) -> int:
    """Draw a number in [0, bound) by rejection, as CPython's `random.shuffle` does."""
    bits = bound.bit_length()
    drawn = generator.getrandbits(bits)
    while drawn >= bound:
        drawn = generator.getrandbits(bits)
    return drawn

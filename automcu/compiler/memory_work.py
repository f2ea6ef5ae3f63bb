"""Work that all kernels share: copying bytes, and reading constants from flash."""

from collections import Counter

from automcu.compiler.ops.windows import Window

_WORD_BYTES = 4
_BLOCK_BYTES = 16  # that memcpy moves at a time
# Up to here a compiler moves bytes itself instead of calling memcpy: clang, and GCC.
_INLINED = {"short": 16, "medium": 64}
# Distances up to which some board's data cache still holds what was read before, in bytes.
_REACHES = (128, 256, 4096, 8192, 16384, 32768)

_UNROLLED = 2  # turns of a loop


def copies(times: int, size: int) -> dict[str, int]:
    """So many copies of `size` bytes, a constant of the code."""
    if not times:
        return {}
    words, rest = divmod(size, _WORD_BYTES)
    for name, most in _INLINED.items():
        if size <= most:
            return {
                f"copy/{name}": times,
                f"copy/{name}_words": times * words,
                f"copy/{name}_rest": times * rest.bit_count(),
            }
    if rest and times > 1:  # most do not start at whole words
        return {"copy/calls": times, "copy/words": times * (words + rest)}
    blocks, behind = divmod(size, _BLOCK_BYTES)
    return {
        "copy/calls": times,
        "copy/blocks": times * blocks,
        "copy/words": times * (behind // _WORD_BYTES + rest),
    }


def copy_code(size: int, calls: int = 1) -> dict[str, int]:
    """Code of so many copies of a constant size, by name of figure."""
    words, rest = divmod(size, _WORD_BYTES)
    for name, most in _INLINED.items():
        if size <= most:
            moves = words + rest.bit_count()
            return {f"copy/{name}": calls, f"copy/{name}_words": calls * moves}
    return {"copy/calls": calls}


def flash_reads(size: int, times: int, passes: int = 1, part: int = 0) -> dict[str, int]:
    """Bytes of constants read: all `size` of them `times` times over, each `part` in `passes`.

    The first time none is in a cache. What is read again costs wait states where more has been
    read in between than the cache holds, so that figures are by how much that is.
    """
    work = Counter({"flash/first": size})
    if times > 1:
        work[f"flash/again_{_reach(size)}"] += (times - 1) * size
    if passes > 1:
        work[f"flash/again_{_reach(part)}"] += times * (passes - 1) * size
    return dict(work)


def window_class(window: Window, out_height: int) -> str:
    """Which loops over a window a compiler makes: it unrolls those of one turn and of two.

    Two rows are more work where the bounds of the loop over them vary, with the output's rows.
    """
    rows, columns = (str(n) if n <= _UNROLLED else "n" for n in (window.height, window.width))
    fixed = "fixed" if window.height == _UNROLLED and out_height == 1 else ""
    return f"{rows}{fixed}x{columns}"


def _reach(distance: int) -> str:
    return next((str(reach) for reach in _REACHES if distance <= reach), "far")

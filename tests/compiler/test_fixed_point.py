"""Integers for real scales: how far they may be off, and that nothing leaves 32 bits."""

import ctypes
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from automcu.compiler import fixed_point
from automcu.compiler.kernel import SHARED_RECORDS
from automcu.errors import UnsupportedModelError
from automcu.toolchains import host_compiler

INT32 = np.iinfo(np.int32)
int8s = st.integers(-128, 127)
ratios = st.floats(-30, 6).map(lambda x: 2.0**x)
bounds = st.integers(1, 1 << 24)

SHIM = """\
#include <stdint.h>
#define MODEL_INLINE static inline
#include "parameters.h"
#include "arithmetic.h"
int8_t shim_requantise(int32_t accumulator, int32_t multiplier, const requantisation *scaling);
int8_t shim_add(int32_t a, int32_t b, const add_scaling *scaling);
int8_t shim_requantise(int32_t accumulator, int32_t multiplier, const requantisation *scaling)
{
    return requantise(accumulator, multiplier, scaling);
}
int8_t shim_amplify(int32_t accumulator, int32_t multiplier, const requantisation *scaling);
int8_t shim_amplify(int32_t accumulator, int32_t multiplier, const requantisation *scaling)
{
    return requantise_amplified(accumulator, multiplier, scaling);
}
int8_t shim_add_wide(int32_t a, int32_t b, const wide_add_scaling *scaling);
int8_t shim_add_wide(int32_t a, int32_t b, const wide_add_scaling *scaling)
{
    return add_scaled_wide(a, b, scaling);
}
int8_t shim_add(int32_t a, int32_t b, const add_scaling *scaling)
{
    return add_scaled(a, b, scaling);
}
"""


@pytest.fixture(scope="module")
def c_arithmetic(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The two functions that all kernels share."""
    folder = tmp_path_factory.mktemp("arithmetic")
    (folder / "shim.c").write_text(SHIM)
    records = "\n".join(record.declaration() for record in SHARED_RECORDS)
    (folder / "parameters.h").write_text(records)
    library = host_compiler().shared_library(
        [folder / "shim.c"],
        folder / "shim.so",
        [folder, Path(fixed_point.__file__).parent],
        ["-Werror", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"],
    )
    loaded = ctypes.CDLL(str(library))
    for name in ("requantise", "amplify", "add", "add_wide"):
        loaded[f"shim_{name}"].restype = ctypes.c_int8
    return loaded


class WideAddScaling(ctypes.Structure):
    """`wide_add_scaling`."""

    _fields_ = [
        ("multiplier_a", ctypes.c_int32),
        ("multiplier_b", ctypes.c_int32),
        ("offset", ctypes.c_int64),
        ("shift", ctypes.c_int32),
        ("minimum", ctypes.c_int32),
        ("maximum", ctypes.c_int32),
    ]


@given(ratio=ratios, bound=bounds, part=st.floats(-1, 1), zero_point=int8s)
def test_a_requantised_accumulator_is_within_three_quarters_of_the_real_result(
    ratio: float, bound: int, part: float, zero_point: int
) -> None:
    assume(ratio * bound < 1 << 29)  # beyond, all but the least accumulators saturate
    accumulator = int(part * bound)
    exact = Fraction(ratio) * accumulator + zero_point
    assume(-127 < exact < 126)
    scaling = fixed_point.requantisation(np.array([ratio]), bound, zero_point)
    result = int(fixed_point.requantise(np.array([accumulator]), scaling)[0])
    assert abs(result - exact) <= Fraction(3, 4)


@given(exponent=st.integers(-12, 0), accumulator=st.integers(-(1 << 18), 1 << 18))
def test_halves_round_up(exponent: int, accumulator: int) -> None:
    scaling = fixed_point.requantisation(np.array([2.0**exponent]), 1 << 18, 0)
    expected = (2 * accumulator + (1 << -exponent)) // (2 << -exponent)
    result = int(fixed_point.requantise(np.array([accumulator]), scaling)[0])
    assert result == min(max(expected, -128), 127)


@given(several=st.lists(st.floats(-60, 40).map(lambda x: 2.0**x), min_size=1), bound=bounds)
def test_no_shifted_accumulator_and_no_multiplier_leaves_32_bits(
    several: list[float], bound: int
) -> None:
    scaling = fixed_point.requantisation(np.array(several), bound, 0)
    assert bound << scaling.left_shift <= INT32.max
    assert scaling.multipliers.min() >= 0
    assert scaling.multipliers.dtype == np.int32


@given(
    channel_ratios=st.lists(st.floats(-60, 40).map(lambda x: 2.0**x), min_size=2, max_size=6),
    accumulator=st.integers(-INT32.max, INT32.max),
)
def test_channels_do_not_disturb_each_other(channel_ratios: list[float], accumulator: int) -> None:
    together = fixed_point.channel_requantisation(np.array(channel_ratios), INT32.max, 0)
    results = fixed_point.requantise(np.full(len(channel_ratios), accumulator), together)
    for ratio, result in zip(channel_ratios, results, strict=True):
        exact = min(max(Fraction(ratio) * accumulator, Fraction(-128)), Fraction(127))
        assert abs(int(result) - exact) <= Fraction(3, 4)


def test_a_scale_too_small_for_its_accumulators_saturates() -> None:
    scaling = fixed_point.requantisation(np.array([1e6]), 1 << 22, 0)
    results = fixed_point.requantise(np.array([-(1 << 22), -5000, 0, 5000, 1 << 22]), scaling)
    assert results.tolist() == [-128, -128, 0, 127, 127]


@pytest.mark.parametrize("ratio", [float("inf"), float("nan")])
def test_a_ratio_that_is_not_finite_is_refused(ratio: float) -> None:
    with pytest.raises(UnsupportedModelError, match="overflow 32 bits"):
        fixed_point.requantisation(np.array([0.5, ratio]), 1, 0)
    with pytest.raises(UnsupportedModelError, match="Quantise the model again"):
        fixed_point.add_scaling(ratio, 1.0, (0, 0, 0))


def test_accumulators_that_need_more_than_32_bits_are_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="Split the layer"):
        fixed_point.requantisation(np.array([0.5]), 1 << 31, 0)


@given(
    ratio_a=ratios,
    ratio_b=ratios,
    sign=st.sampled_from((1, -1)),
    zeros=st.tuples(int8s, int8s, int8s),
)
def test_a_sum_is_as_close_as_its_shift_allows_for_all_operands(
    ratio_a: float, ratio_b: float, sign: int, zeros: tuple[int, int, int]
) -> None:
    scaling = fixed_point.add_scaling(ratio_a, sign * ratio_b, zeros)
    a, b = (
        values.reshape(-1) for values in np.meshgrid(np.arange(-128, 128), np.arange(-128, 128))
    )
    results = fixed_point.add(a.astype(np.int8), b.astype(np.int8), scaling)
    exact = ratio_a * (a - zeros[0]) + sign * ratio_b * (b - zeros[1]) + zeros[2]
    allowed = 0.5 + 255 / 2**scaling.shift + 1e-9
    assert np.abs(results - np.clip(exact, -128, 127)).max() <= allowed


@given(ratio_a=st.floats(-60, 60), ratio_b=st.floats(-60, 60), zeros=st.tuples(int8s, int8s, int8s))
def test_a_sum_s_integers_fit_their_types_at_any_scale(
    ratio_a: float, ratio_b: float, zeros: tuple[int, int, int]
) -> None:
    scaling = fixed_point.add_scaling(2.0**ratio_a, 2.0**ratio_b, zeros)
    assert 9 < scaling.shift <= 22
    assert max(abs(scaling.multiplier_a), abs(scaling.multiplier_b)) < 1 << 31
    if scaling.wide:
        return
    corners = [
        a * scaling.multiplier_a + b * scaling.multiplier_b + scaling.offset
        for a in (-128, 127)
        for b in (-128, 127)
    ]
    assert max(map(abs, [*corners, scaling.offset])) <= INT32.max


@given(
    accumulator=st.integers(INT32.min, INT32.max),
    multiplier=st.integers(0, INT32.max),
    left_shift=st.integers(0, 30),
    zero_point=int8s,
    limits=st.tuples(int8s, int8s).map(sorted),
)
def test_c_requantises_like_the_reference(
    c_arithmetic: ctypes.CDLL,
    accumulator: int,
    multiplier: int,
    left_shift: int,
    zero_point: int,
    limits: list[int],
) -> None:
    accumulator >>= left_shift
    scaling = fixed_point.Requantisation(
        np.array([multiplier], np.int32), left_shift, zero_point, limits[0], limits[1]
    )
    record = (ctypes.c_int32 * 4)(left_shift, zero_point, *limits)
    expected = int(fixed_point.requantise(np.array([accumulator]), scaling)[0])
    assert c_arithmetic.shim_requantise(accumulator, multiplier, record) == expected


@given(
    accumulator=st.integers(INT32.min, INT32.max),
    multiplier=st.integers(-INT32.max, INT32.max),
    zero_point=int8s,
)
def test_c_amplifies_like_the_reference(
    c_arithmetic: ctypes.CDLL, accumulator: int, multiplier: int, zero_point: int
) -> None:
    scaling = fixed_point.Requantisation(np.array([multiplier], np.int32), 0, zero_point, -128, 127)
    record = (ctypes.c_int32 * 4)(0, zero_point, -128, 127)
    expected = int(fixed_point.requantise(np.array([accumulator]), scaling)[0])
    assert c_arithmetic.shim_amplify(accumulator, multiplier, record) == expected


@given(
    a=int8s,
    b=int8s,
    ratio_a=st.floats(-20, 20),
    ratio_b=st.floats(-20, 20),
    zeros=st.tuples(int8s, int8s, int8s),
    limits=st.tuples(int8s, int8s).map(sorted),
)
def test_c_adds_like_the_reference(
    c_arithmetic: ctypes.CDLL,
    a: int,
    b: int,
    ratio_a: float,
    ratio_b: float,
    zeros: tuple[int, int, int],
    limits: list[int],
) -> None:
    scaling = fixed_point.add_scaling(2.0**ratio_a, -(2.0**ratio_b), zeros, limits[0], limits[1])
    numbers = (scaling.multiplier_a, scaling.multiplier_b, scaling.offset, scaling.shift, *limits)
    expected = int(fixed_point.add(np.array([a], np.int8), np.array([b], np.int8), scaling)[0])
    if scaling.wide:
        record = WideAddScaling(*numbers)
        assert c_arithmetic.shim_add_wide(a, b, ctypes.byref(record)) == expected
    else:
        assert c_arithmetic.shim_add(a, b, (ctypes.c_int32 * 6)(*numbers)) == expected

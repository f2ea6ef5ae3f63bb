"""Damaged and hostile TFLite files: always one of our errors, never another, nor a hang."""

import struct
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automcu.compiler import import_tflite
from automcu.compiler.graph import Graph
from tests.compiler.read.tflite_writer import TfliteWriter

NASTY_WORDS = (0, 1, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x40000000)
attempts = settings(
    max_examples=300,
    deadline=timedelta(seconds=20),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def whole() -> bytes:
    """A small file with layers of many kinds."""
    noise = np.random.default_rng(0)
    writer = TfliteWriter()
    x = writer.activation((1, 6, 6, 3), 0.05, -3)
    kernel = writer.constant(noise.integers(-128, 128, (4, 3, 3, 3), dtype=np.int8), [0.01] * 4)
    bias = writer.constant(np.arange(4, dtype=np.int32), [0.0005] * 4)
    convolved = writer.activation((1, 6, 6, 4), 0.1, 4)
    pooled = writer.activation((1, 3, 3, 4), 0.1, 4)
    swished = writer.activation((1, 3, 3, 4), 0.08, -100)
    summed = writer.activation((1, 3, 3, 4), 0.2, 0)
    axes = writer.constant(np.array([1, 2], np.int32))
    mean = writer.activation((1, 4), 0.1, 0)
    shape = writer.constant(np.array([-1, 4], np.int32))
    vector = writer.activation((1, 4), 0.1, 0)
    scores = writer.activation((1, 4), 1 / 256, -128)
    step = {"StrideH": 1, "StrideW": 1}
    writer.layer("CONV_2D", (x, kernel, bias), convolved, "Conv2DOptions", **step)
    writer.layer(
        "MAX_POOL_2D",
        (convolved,),
        pooled,
        "Pool2DOptions",
        StrideH=2,
        StrideW=2,
        FilterHeight=2,
        FilterWidth=2,
    )
    writer.layer("HARD_SWISH", (pooled,), swished)
    writer.layer("ADD", (pooled, swished), summed, "AddOptions", FusedActivationFunction=1)
    writer.layer("MEAN", (summed, axes), mean, "ReducerOptions", KeepDims=False)
    writer.layer("RESHAPE", (mean, shape), vector)
    writer.layer("SOFTMAX", (vector,), scores, "SoftmaxOptions", Beta=1.0)
    return writer.content(x, scores)


@pytest.fixture
def importer() -> Callable[[Path], Graph]:
    return import_tflite


def test_the_whole_file_compiles(whole: bytes, survives: Callable[[bytes], bool]) -> None:
    assert survives(whole)


@attempts
@given(data=st.data())
def test_a_file_cut_in_half_is_an_error(
    whole: bytes, survives: Callable[[bytes], bool], data: st.DataObject
) -> None:
    assert not survives(whole[: data.draw(st.integers(0, len(whole) // 2))])


@attempts
@given(noise=st.binary(max_size=200))
def test_noise_behind_the_identifier_is_an_error(
    noise: bytes, survives: Callable[[bytes], bool]
) -> None:
    assert not survives(b"\x1c\0\0\0TFL3" + noise)


@attempts
@given(data=st.data())
def test_changed_bytes_end_in_a_program_or_in_our_own_error(
    whole: bytes, survives: Callable[[bytes], bool], data: st.DataObject
) -> None:
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(8, len(content) - 4))
        if data.draw(st.booleans()):
            content[place] = data.draw(st.integers(0, 255))
        else:  # an offset, a length, a size
            place -= place % 4
            word = data.draw(st.sampled_from(NASTY_WORDS))
            content[place : place + 4] = struct.pack("<I", word)
    assert survives(bytes(content)) in (True, False)

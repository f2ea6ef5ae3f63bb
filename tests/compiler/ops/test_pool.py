"""Windows of pools: dilation, padding, and what they may not hide."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automcu.compiler import Quantisation, run_reference
from automcu.compiler.compile import choose_kernel
from automcu.compiler.ops import AveragePool, Convolution, MaxPool
from automcu.compiler.ops.pool import needed_counts
from automcu.compiler.tensor import Window, pixel_counts, taps
from automcu.mcu import Device
from tests.compiler.ops.one_operator import one_operator
from tests.compiler.plain_arithmetic import run_plainly
from tests.compiler.random_graphs import windows

SCALE = Quantisation(0.5, 3)


@given(window=windows(6, 5, pooling=True))
def test_counts_are_those_of_taps_inside_the_image(window: Window) -> None:
    counts = pixel_counts(window, 6, 5)
    for row, column in np.ndindex(counts.shape):
        inside = sum(
            0 <= row * window.stride[0] - window.padding[0] + u * window.dilation[0] < 6
            and 0 <= column * window.stride[1] - window.padding[1] + v * window.dilation[1] < 5
            for u in range(window.height)
            for v in range(window.width)
        )
        assert counts[row, column] == inside
    assert needed_counts(AveragePool(window), 6, 5) == tuple(np.unique(counts))


@pytest.mark.parametrize("padding", [(2, 0, 0, 0), (0, 2, 0, 0), (0, 0, 2, 0), (0, 0, 0, 2)])
@pytest.mark.parametrize("kind", [AveragePool, MaxPool])
def test_padding_that_hides_a_whole_window_is_refused(
    kind: type[AveragePool] | type[MaxPool], padding: tuple[int, int, int, int]
) -> None:
    with pytest.raises(ValueError, match="hides a whole window"):
        kind(Window(2, 2, padding=padding)).output_shape((6, 6, 1))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=windows(12, 12, largest=12), second=windows(12, 12, largest=12), data=st.data())
def test_kernels_of_different_windows_have_different_names(
    first: Window, second: Window, portable_device: Device, data: st.DataObject
) -> None:
    """A name is shared only by kernels whose C is the same."""

    def kernel(window: Window, attributes: object) -> tuple[str, dict[str, object]]:
        graph = one_operator(attributes, (((12, 12, 2), SCALE),), SCALE)  # type: ignore[arg-type]
        chosen = choose_kernel(graph.operators[-1], graph, portable_device)
        return chosen.function, dict(chosen.settings)

    groups = data.draw(st.sampled_from((1, 2)))
    one, other = (kernel(window, Convolution(window, 2, groups)) for window in (first, second))
    assert (one[0] == other[0]) <= (one[1] == other[1])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(window=windows(6, 5, pooling=True), zero_point=st.integers(-128, 127))
def test_halves_of_raw_values_go_away_from_zero(window: Window, zero_point: int) -> None:
    scale = Quantisation(0.5, zero_point)
    image = np.random.default_rng(0).integers(-128, 128, (6, 5, 2), dtype=np.int8)
    graph = one_operator(AveragePool(window, raw_halves=True), (((6, 5, 2), scale),), scale)
    result = run_reference(graph, image.reshape(1, 1, 1, -1)).reshape(-1)
    counts = pixel_counts(window, 6, 5)[..., None]
    sums = sum(tap.astype(np.int64) for tap in taps(image[None], window, 0))
    assert isinstance(sums, np.ndarray)
    away = (np.abs(sums) + counts // 2) // counts * np.sign(sums)
    assert np.array_equal(result, away.reshape(-1))
    plain = run_plainly(graph, image.reshape(1, 1, -1))["result"]
    assert np.array_equal(plain.reshape(-1), result)

"""Views follow what numpy does to an array, by addresses alone."""

from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automcu.compiler.read.file_tensor import View, in_order, natural, refined

shapes = st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple)


@st.composite
def histories(draw: st.DrawFn) -> tuple[View, np.ndarray]:
    """A view and an array that went through the same steps."""
    shape = draw(shapes)
    view, array = natural(shape), np.arange(prod(shape)).reshape(shape)
    for _ in range(draw(st.integers(0, 5))):
        rank = len(view.shape)
        axis = draw(st.integers(0, rank - 1))
        size = view.shape[axis]
        step = draw(st.sampled_from(("transpose", "slice", "repeat", "tile", "split", "join")))
        if step == "transpose":
            order = tuple(draw(st.permutations(range(rank))))
            view, array = view.transposed(order), array.transpose(order)
        elif step == "slice":
            chosen = range(size)[:: draw(st.sampled_from((1, 2, -1, -2)))]
            changed = view.sliced(axis, chosen.start, len(chosen), chosen.step)
            if changed is not None:
                view, array = changed, np.take(array, np.array(chosen), axis)
        elif step == "repeat" and prod(view.shape) < 200:
            view, array = view.repeated(axis, 2), np.repeat(array, 2, axis)
        elif step == "tile" and prod(view.shape) < 200:
            times = [1] * rank
            times[axis] = 3
            view, array = view.tiled(axis, 3), np.tile(array, times)
        elif step in ("split", "join"):
            wanted = draw(shapes_of(array.size))
            changed = view.reshaped(wanted)
            if changed is not None:
                view, array = changed, array.reshape(wanted)
    return view, array


@st.composite
def shapes_of(draw: st.DrawFn, size: int) -> tuple[int, ...]:
    """Some factors of a size, in any order."""
    factors = []
    while size > 1 and len(factors) < 5:
        factor = draw(st.sampled_from([n for n in range(1, size + 1) if size % n == 0]))
        factors.append(factor)
        size //= factor
    return (*factors, size)


@given(histories())
def test_a_view_reads_what_numpy_would(history: tuple[View, np.ndarray]) -> None:
    view, array = history
    assert view.shape == array.shape
    assert np.array_equal(view.addresses(), array)


@given(shapes, st.data())
def test_a_reshape_of_values_in_order_needs_no_copy(
    shape: tuple[int, ...], data: st.DataObject
) -> None:
    wanted = data.draw(shapes_of(prod(shape)))
    view = natural(shape).reshaped(wanted)
    assert view is not None
    assert view.parts == natural(wanted).parts


@given(shapes, st.data())
def test_a_transposed_view_covers_its_tensor_once(
    shape: tuple[int, ...], data: st.DataObject
) -> None:
    order = tuple(data.draw(st.permutations(range(len(shape)))))
    view = in_order(shape, order)
    assert view.is_dense(prod(shape))
    assert sorted(view.addresses().reshape(-1)) == list(range(prod(shape)))
    assert view.transposed(order).parts == natural((prod(shape),)).parts


def test_part_of_a_tensor_and_repeated_values_do_not_cover_it_once() -> None:
    whole = natural((4, 6))
    part = whole.sliced(1, 2, 4, 1)
    assert part is not None and not part.is_dense(24)
    assert not whole.repeated(0, 2).is_dense(24)


def test_a_slice_of_two_interleaved_parts_needs_a_copy() -> None:
    shuffled = natural((2, 3, 4)).transposed((1, 0, 2)).reshaped((6, 4))
    assert shuffled is not None
    assert shuffled.sliced(0, 1, 3, 1) is None


@pytest.mark.parametrize("wanted", [(4, 5), (24, 2), (0,), ()])
def test_a_reshape_to_another_number_of_values_is_refused(wanted: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="cannot be reshaped"):
        natural((4, 6)).reshaped(wanted)


def test_a_slice_beyond_the_axis_is_refused() -> None:
    with pytest.raises(ValueError, match="of 6"):
        natural((4, 6)).sliced(1, 3, 4, 1)


def test_parts_are_cut_where_another_view_cuts_them() -> None:
    assert refined(((6, 4),), (2, 3)) == ((2, 12), (3, 4))
    assert refined(((2, 1), (3, 2)), (3, 2)) is None


def test_a_broadcast_repeats_axes_of_size_one_only() -> None:
    assert natural((1, 3)).broadcast((2, 4, 3)).addresses().shape == (2, 4, 3)
    with pytest.raises(ValueError, match="broadcast"):
        natural((2, 3)).broadcast((4, 3))

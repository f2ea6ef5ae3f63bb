import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automcu.datasets.record import draw_by_class
from automcu.errors import WrongInputError


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(2, 40), min_size=1, max_size=6),
    fraction=st.floats(0.01, 0.9),
    seed=st.integers(0, 2**31),
)
def test_a_split_is_disjoint_complete_and_leaves_every_class_on_both_sides(
    sizes: list[int], fraction: float, seed: int
) -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))

    kept, drawn = draw_by_class(labels, fraction, seed)

    assert sorted([*kept, *drawn]) == list(range(len(labels)))
    for label, size in enumerate(sizes):
        count = int((labels[drawn] == label).sum())
        assert 1 <= count < size
        assert abs(count - size * fraction) <= 1


def test_the_seed_decides_which_images_are_drawn() -> None:
    labels = np.repeat(np.arange(3), 30)
    first, again, other = (draw_by_class(labels, 0.3, seed)[1] for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_a_class_of_one_image_cannot_be_divided() -> None:
    with pytest.raises(WrongInputError, match="too few images"):
        draw_by_class(np.array([0, 0, 1]), 0.5, 0)

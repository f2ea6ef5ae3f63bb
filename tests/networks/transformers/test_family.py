from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automcu.errors import WrongInputError
from automcu.networks.transformers.family import (
    FEWEST_TOKENS,
    MOST_TOKENS,
    TransformerShape,
    parse_transformer,
    transformer_shapes,
)


@given(st.integers(3, 96))
def test_every_side_is_cut_into_a_sensible_number_of_patches(side: int) -> None:
    shapes = transformer_shapes([side], 3, 10)
    assert len(set(shapes)) == len(shapes) > 0
    for shape in shapes:
        assert side - 4 < shape.resolution <= side
        assert FEWEST_TOKENS <= shape.tokens <= MOST_TOKENS


def test_depths_stand_side_by_side_in_ascending_order() -> None:
    shapes = transformer_shapes([28, 14], 1, 10)
    for one, following in pairwise(shapes):
        same = one.model_copy(update={"depth": following.depth}) == following
        assert not same or one.depth < following.depth
    assert {shape.resolution for shape in shapes} == {28, 14}


def test_a_shape_is_read_from_text() -> None:
    shape = parse_transformer("vit:patch=4,dim=48,depth=2,heads=3,mlp_ratio=2", 32, 3, 7)
    assert shape == TransformerShape(
        resolution=32, in_channels=3, classes=7, patch=4, dim=48, depth=2, heads=3, mlp_ratio=2
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("vit:patch=5", "32 pixels are no whole patches of 5"),
        ("vit:patch=4,dim=64,heads=5", "64 channels do not divide into 5 heads"),
        ("vit:patch=0", "greater than or equal to 1"),
        ("vit:width=3", "'width=3' says nothing"),
        ("vit:dim=many", "'dim=many' says nothing"),
    ],
)
def test_an_impossible_shape_is_refused_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(WrongInputError, match=said):
        parse_transformer(text, 32, 3, 10)

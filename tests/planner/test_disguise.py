import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from automcu.networks.cells.cell import OPERATIONS
from automcu.planner.language_model import Disguise
from tests.planner.test_council import CELLS, council_of, proposing, role_of, seen_of, space

__all__ = ["space"]


@given(seed=st.integers(0, 2**32 - 1), cell=st.lists(st.sampled_from(OPERATIONS), max_size=6))
def test_what_is_hidden_is_revealed_again(seed: int, cell: list[str]) -> None:
    disguise = Disguise.drawn(seed)
    reported = json.dumps({"cell": cell})
    hidden = disguise.hide(reported)
    assert disguise.reveal(hidden) == reported
    assert not any(f'"{name}"' in hidden for name in OPERATIONS)


def test_other_seeds_give_other_names_and_words_of_english_stay() -> None:
    assert len({str(Disguise.drawn(seed).labels) for seed in range(10)}) > 5
    assert Disguise.drawn(0).hide("none of them") == "none of them"


def test_a_model_in_the_dark_sees_no_operation_by_its_name_and_is_understood(
    serve: Any, reply: Callable[..., None], space: Any, tmp_path: Path
) -> None:
    disguise = Disguise.drawn(3)

    def script(handler: Any, body: dict[str, Any], count: int) -> None:
        if role_of(body) == "critic":
            return reply(handler, disguise.hide('{"more": ["nor_conv_3x3"], "stop": false}'))
        wrong = '{"proposals": [{"skeleton": 1, "cell": ["conv"]}]}'
        return reply(handler, wrong if count == 2 else disguise.hide(proposing(CELLS[7])))

    server = serve(script)
    council = council_of(server.url, space, tmp_path)
    council.model.disguise = disguise
    proposal, _ = council.choose(seen_of(3), 4, 3, may_stop=True)
    assert proposal and proposal.cell_index == CELLS[7]
    assert len(server.requests) == 3  # the Critic, a wrong answer, and a right one
    sent = json.dumps(server.requests)
    for name in ("skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"):
        assert name not in sent

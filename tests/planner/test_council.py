import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from automcu.networks.cells.cell import Cell
from automcu.networks.cells.skeleton import Architecture, FeasibleCell, Skeleton, Survey
from automcu.networks.family import Observation
from automcu.planner.council import Council, FeasibleSpace
from automcu.planner.language_model import LanguageModel
from automcu.planner.records import Choice, ModelSettings, Question

SKELETONS = [Skeleton(stem_channels=width, cells_per_stage=1, resolution=8) for width in (4, 8)]
CELLS = [index for index in range(0, 15625, 30) if Cell.from_index(index).is_connected]
THOUGHT = "BECAUSE-I-FEEL-LIKE-IT"
QUESTION = json.dumps({"questions": [{"tool": "front"}], "proposals": []})


def survey_of(skeleton: Skeleton) -> Survey:
    return Survey.model_construct(
        device="stm32f407g-disc1",
        skeleton=skeleton,
        feasible_cells=tuple(
            FeasibleCell(
                index=index,
                architecture=str(Cell.from_index(index)),
                prior=70.0 + index % 20,
                latency_ms=1.0 + index % 13,
                flash_bytes=1,
                ram_bytes=1,
            )
            for index in CELLS
        ),
    )


@pytest.fixture(scope="module")
def space() -> FeasibleSpace:
    return FeasibleSpace([survey_of(skeleton) for skeleton in SKELETONS], 20.0)


def proposing(index: int, skeleton: int = 1) -> str:
    cell = Cell.from_index(index).edges
    return json.dumps({"proposals": [{"skeleton": skeleton, "cell": cell}]})


def network_of(index: int, skeleton: int = 0) -> Architecture:
    return Architecture(cell=str(Cell.from_index(index)), skeleton=SKELETONS[skeleton])


def seen_of(count: int) -> list[Observation]:
    return [
        Observation(architecture=network_of(CELLS[at], at % 2), accuracy_percent=80.0 + at)
        for at in range(count)
    ]


def council_of(url: str, space: FeasibleSpace, folder: Path, **settings: Any) -> Council:
    options = ModelSettings(model="t", base_url=url, timeout_s=5.0, attempts=1, **settings)
    return Council(LanguageModel(options, folder), space, seed=0)


def role_of(body: dict[str, Any]) -> str:
    return "critic" if "# Critic" in body["messages"][0]["content"] else "architect"


def test_what_fits_is_proposed_as_it_was_asked_for(
    serve: Any, reply: Callable[..., None], space: FeasibleSpace, tmp_path: Path
) -> None:
    server = serve(lambda handler, body, count: reply(handler, proposing(CELLS[7], 2)))
    council = council_of(server.url, space, tmp_path)
    proposal, enough = council.choose([], rank=4, budget_left=3, may_stop=False)
    assert proposal and not enough
    assert (proposal.cell_index, proposal.rank) == (CELLS[7], 4)
    assert proposal.architecture.skeleton == SKELETONS[1]
    assert (council.turns.proposed, council.turns.replaced) == (1, 0)


def test_what_does_not_fit_becomes_the_nearest_that_does(
    serve: Any, reply: Callable[..., None], space: FeasibleSpace, tmp_path: Path
) -> None:
    misfit = next(index for index in range(1, 15625) if index not in CELLS)
    server = serve(lambda handler, body, count: reply(handler, proposing(misfit)))
    council = council_of(server.url, space, tmp_path)
    proposal, _ = council.choose([], 1, 3, may_stop=False)
    assert proposal and proposal.cell_index in CELLS

    def edits(index: int) -> int:
        pairs = zip(Cell.from_index(index).edges, Cell.from_index(misfit).edges, strict=True)
        return sum(one != other for one, other in pairs)

    assert edits(proposal.cell_index) == min(map(edits, CELLS))
    assert council.turns.replaced == 1


def test_nothing_is_proposed_twice_and_unknown_skeletons_are_the_first(
    space: FeasibleSpace,
) -> None:
    edges = Cell.from_index(CELLS[0]).edges
    choice = Choice.model_validate({"skeleton": 77, "cell": edges})
    first = space.proposal(choice, [], 1)
    assert first and first.architecture.skeleton == SKELETONS[0]
    seen = Observation(architecture=first.architecture, accuracy_percent=None)
    second = space.proposal(choice, [seen], 2)
    assert second and second.cell_index != first.cell_index


def test_questions_are_answered_from_the_feasible_set(space: FeasibleSpace) -> None:
    everything = space.answer(Question(tool="count"), seed=0)
    assert everything.count == 2 * len(CELLS) and everything.cells == ()
    few = space.answer(Question(tool="sample", skeleton=2, max_latency_ms=3.0), seed=0)
    assert 0 < len(few.cells) <= 8 and few.count < len(CELLS)
    assert all(cell.latency_ms <= 3.0 and cell.skeleton == 2 for cell in few.cells)
    front = space.answer(Question(tool="front", skeleton=1), seed=0).cells
    latencies = [cell.latency_ms for cell in front]
    assert latencies == sorted(latencies, reverse=True)
    cell = space.answer(Question(tool="sample", skeleton=1), seed=0).cells[0].cell
    near = space.answer(Question(tool="neighbours", skeleton=1, cell=cell), seed=0)
    for found in near.cells:
        assert sum(a != b for a, b in zip(found.cell, cell, strict=True)) == 1


def test_a_question_is_answered_in_the_next_prompt(
    serve: Any, reply: Callable[..., None], space: FeasibleSpace, tmp_path: Path
) -> None:
    server = serve(
        lambda handler, body, count: reply(handler, QUESTION if count == 1 else proposing(CELLS[3]))
    )
    proposal, _ = council_of(server.url, space, tmp_path).choose([], 1, 3, may_stop=False)
    assert proposal and proposal.cell_index == CELLS[3]
    views = [json.loads(request["messages"][1]["content"]) for request in server.requests]
    assert views[0]["findings"] == []
    assert views[1]["findings"][0]["question"]["tool"] == "front"


def test_no_prompt_holds_what_another_agent_thought(
    serve: Any, reply: Callable[..., None], space: FeasibleSpace, tmp_path: Path
) -> None:
    """Each answer carries a thought around its JSON; none may turn up in another's prompt."""

    def script(handler: Any, body: dict[str, Any], count: int) -> None:
        role = role_of(body)
        answer = '{"more": ["skip_connect"], "stop": false}'
        answer = answer if role == "critic" else proposing(CELLS[40 + count])
        reply(handler, f"{THOUGHT}-{role} {answer}")

    server = serve(script)
    council = council_of(server.url, space, tmp_path)
    for trained in range(2, 6):
        council.choose(seen_of(trained), trained, 3, may_stop=True)
    assert {role_of(request) for request in server.requests} == {"critic", "architect"}
    prompts = json.dumps([request["messages"] for request in server.requests])
    assert THOUGHT not in prompts
    architects = [request for request in server.requests if role_of(request) == "architect"]
    assert all('"more":["skip_connect"]' in one["messages"][1]["content"] for one in architects)


def test_prompts_do_not_grow_with_the_number_of_turns(
    serve: Any, reply: Callable[..., None], space: FeasibleSpace, tmp_path: Path
) -> None:
    def script(handler: Any, body: dict[str, Any], count: int) -> None:
        reply(handler, "{}" if role_of(body) == "critic" else proposing(CELLS[200 + count]))

    server = serve(script)
    council = council_of(server.url, space, tmp_path)
    sizes = []
    for trained in (10, 40, 160):
        before = len(server.requests)
        council.choose(seen_of(trained), trained, 3, may_stop=True)
        sizes.append(
            [sum(len(m["content"]) for m in one["messages"]) for one in server.requests[before:]]
        )
    assert [len(one) for one in sizes] == [2, 2, 2]
    for first, last in zip(sizes[0], sizes[-1], strict=True):
        assert last <= first * 1.05


def test_the_critic_can_stop_a_run_only_where_the_plan_lets_it(
    serve: Any, reply: Callable[..., None], space: FeasibleSpace, tmp_path: Path
) -> None:
    def script(handler: Any, body: dict[str, Any], count: int) -> None:
        reply(handler, '{"stop": true}' if role_of(body) == "critic" else proposing(CELLS[99]))

    council = council_of(serve(script).url, space, tmp_path)
    assert council.choose(seen_of(9), 10, 5, may_stop=False)[0] is not None
    assert council.choose(seen_of(3), 4, 5, may_stop=True) == (None, True)


def test_an_architect_that_only_asks_loses_its_turn_and_the_reason_is_reported(
    serve: Any, reply: Callable[..., None], space: FeasibleSpace, tmp_path: Path
) -> None:
    server = serve(lambda handler, body, count: reply(handler, QUESTION))
    council = council_of(server.url, space, tmp_path)
    notices: list[str] = []
    council.notify = notices.append
    assert council.choose([], 1, 3, may_stop=False) == (None, False)
    assert len(server.requests) == 3
    assert council.turns.lost == 1
    assert notices == ["the Architect proposed nothing"]

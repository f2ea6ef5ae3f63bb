"""The survey of transformers says of each what compiling it alone says."""

from automcu.brief import Limits
from automcu.cost.verdict import check
from automcu.mcu import find_device
from automcu.networks.estimate import estimate
from automcu.networks.transformers.family import TransformerShape, transformer_shapes
from automcu.networks.transformers.survey import (
    FeasibleTransformer,
    TransformerSurvey,
    plan_transformers,
    survey_transformers,
)

DEVICE = find_device("nucleo-l4r5zi")
SHAPES = transformer_shapes([8], 1, 10)


def test_what_it_leaves_out_does_not_fit_and_what_it_keeps_does() -> None:
    found = survey_transformers(DEVICE, SHAPES, Limits(latency_ms=15.0, flash_bytes=60_000))
    feasible = {one.shape: one for one in found.feasible}
    assert 0 < len(feasible) < found.shapes == len(SHAPES)
    for shape in SHAPES[::17]:
        needed = estimate(shape, DEVICE)
        verdict = check(needed, DEVICE, Limits(latency_ms=15.0, flash_bytes=60_000))
        assert verdict.fits == (shape in feasible)
        if shape in feasible:
            assert feasible[shape].latency_ms == needed.latency_ms
            assert feasible[shape].flash_bytes == needed.flash_bytes
            assert feasible[shape].ram_bytes == needed.ram_bytes


def test_what_is_too_large_for_integers_is_counted_apart() -> None:
    wide = [shape.model_copy(update={"dim": 1 << 14, "heads": 1}) for shape in SHAPES[:1]]
    found = survey_transformers(DEVICE, wide)
    assert found.feasible == ()
    assert sum(found.excluded.values()) >= 1


def _found(patch: int, latency_ms: float, depth: int = 1) -> FeasibleTransformer:
    return FeasibleTransformer(
        shape=TransformerShape(resolution=32, in_channels=3, patch=patch, depth=depth),
        latency_ms=latency_ms,
        flash_bytes=1,
        ram_bytes=1,
        macs=1,
    )


def _survey(*feasible: FeasibleTransformer) -> TransformerSurvey:
    return TransformerSurvey(
        device="f4", shapes=9, excluded={}, seconds=0.0, feasible=feasible, smallest=None
    )


def test_what_uses_the_time_comes_first_and_other_patches_before_more_of_the_same() -> None:
    survey = _survey(_found(4, 15.0), _found(4, 14.8, 2), _found(8, 12.0), _found(4, 1.0, 3))
    plan = plan_transformers(survey, latency_limit_ms=20.0, budget=2, seed=0)
    assert [one.latency_ms for one in plan.proposals[:2]] == [15.0, 12.0]
    assert plan.feasible == 4 and plan.space == 9
    assert "capacity" in plan.prior


def test_a_reserve_is_kept_where_latencies_are_a_guess() -> None:
    plan = plan_transformers(
        _survey(_found(4, 19.0), _found(8, 15.0)), latency_limit_ms=20.0, budget=1, seed=0
    )
    assert [one.latency_ms for one in plan.proposals] == [15.0]


def test_without_a_limit_nothing_much_slower_than_people_wait_is_chosen() -> None:
    survey = _survey(_found(4, 4000.0), _found(8, 70.0))
    plan = plan_transformers(survey, latency_limit_ms=None, budget=1, seed=0)
    assert plan.proposals[0].latency_ms == 70.0
    slow = plan_transformers(
        _survey(_found(4, 4000.0), _found(8, 700.0)), latency_limit_ms=None, budget=1, seed=0
    )
    assert slow.proposals[0].latency_ms == 700.0


def test_the_same_seed_makes_the_same_plan_and_none_means_none_fits() -> None:
    survey = _survey(*(_found(4, 10.0 + 0.01 * depth, depth) for depth in range(1, 9)))
    first, second = (
        plan_transformers(survey, latency_limit_ms=20.0, budget=3, seed=5) for _ in range(2)
    )
    assert first == second
    assert plan_transformers(_survey(), latency_limit_ms=1.0, budget=3, seed=0).proposals == ()

"""The survey of transformers says of each what compiling it alone says."""

from automcu.brief import Limits
from automcu.cost.verdict import check
from automcu.mcu import find_device
from automcu.networks.estimate import estimate
from automcu.networks.transformers.space import transformer_shapes
from automcu.networks.transformers.survey import survey_transformers

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

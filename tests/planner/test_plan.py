from automcu.cost.records import Estimate, Limit, Verdict
from automcu.networks.cells.cell import Cell
from automcu.networks.cells.skeleton import Architecture, Skeleton
from automcu.planner.plan import Review, review

SKELETON = Skeleton(stem_channels=8, cells_per_stage=1, resolution=8, input_channels=1, classes=10)
GOOD = str(Cell.from_index(11472))


def _judge(fits: bool) -> Verdict:
    estimate = Estimate(
        device="f4",
        flash_bytes=1,
        weight_bytes=1,
        code_bytes=1,
        ram_bytes=1,
        arena_bytes=1,
        stack_bytes=1,
        cycles=1,
        latency_ms=1,
        energy_millijoule=1,
        macs=1,
        layers=(),
    )
    limits = () if fits else (Limit(limit="ram", needed=2, available=1),)
    return Verdict(device="f4", fits=fits, limits=limits, estimate=estimate)


def _review(cell: str, skeleton: Skeleton = SKELETON, fits: bool = True) -> Review:
    architecture = Architecture(cell=cell, skeleton=skeleton)
    return review(architecture, input_channels=1, classes=10, judge=lambda _: _judge(fits))


def test_a_good_proposal_passes_all_gates() -> None:
    found = _review(GOOD)
    assert found.accepted
    assert found.passed == ("schema_valid", "shape_valid", "feasible")
    assert found.verdict is not None


def test_nonsense_stops_at_the_first_gate() -> None:
    found = _review("|nor_conv_9x9~0|")
    assert not found.accepted
    assert found.passed == ()


def test_a_network_that_ignores_its_input_has_no_valid_shape() -> None:
    found = _review(str(Cell(("none",) * 6)))
    assert found.passed == ("schema_valid",)
    assert found.reason is not None and "does not depend" in found.reason


def test_a_network_for_other_data_has_no_valid_shape() -> None:
    found = _review(GOOD, SKELETON.model_copy(update={"input_channels": 3}))
    assert found.passed == ("schema_valid",)
    assert found.reason is not None and "3 channels" in found.reason


def test_what_does_not_fit_is_never_accepted() -> None:
    found = _review(GOOD, fits=False)
    assert found.passed == ("schema_valid", "shape_valid")
    assert found.reason is not None and "ram" in found.reason

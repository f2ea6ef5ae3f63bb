import pytest

from automcu.brief import Limits
from automcu.mcu import find_device
from automcu.networks.cells.survey import survey
from benchmarks import planner_faults
from benchmarks.planner_faults import _SKELETON, FAULTS, one_run


@pytest.mark.parametrize("fault", ["hostile", "cut off", "killed worker"])
def test_a_run_with_this_fault_is_not_lost(fault: str) -> None:
    found = survey(find_device("stm32f407g-disc1"), _SKELETON, Limits(latency_ms=20.0))
    killed_while_it_trains_the_second = len(FAULTS)
    lost, turns = one_run(fault, found, seed=killed_while_it_trains_the_second)
    assert not lost
    assert turns > 0


def test_a_run_that_cannot_choose_three_networks_counts_as_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = survey(find_device("stm32f407g-disc1"), _SKELETON, Limits(latency_ms=20.0))
    monkeypatch.setattr(planner_faults, "next_proposal", lambda *args, **more: None)
    assert one_run("dead server", found, seed=0) == (True, 0)


@pytest.mark.parametrize("fault", ["weak model", "no usage", "huge usage"])
def test_these_faults_cost_no_turn_and_the_first_network_is_the_offline_planners(
    fault: str,
) -> None:
    found = survey(find_device("stm32f407g-disc1"), _SKELETON, Limits(latency_ms=20.0))
    assert one_run(fault, found, seed=5) == (False, 0)

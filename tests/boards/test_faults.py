"""Every fault of benchmarks.faults: a clear error in time, and a board that can be reflashed."""

from collections.abc import Iterator

import pytest

from benchmarks.faults import LIMIT_S, Fault, Setting, faults, inject, setting_with_cable
from benchmarks.faulty_cable import Cable


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Setting, Cable]]:
    with setting_with_cable(tmp_path_factory.mktemp("faults") / "project") as both:
        yield both


@pytest.mark.parametrize("fault", faults(), ids=lambda fault: f"{fault.during}: {fault.name}")
def test_a_fault_ends_in_a_clear_error_or_is_recovered_from(
    bench: tuple[Setting, Cable], fault: Fault
) -> None:
    outcome = inject(fault, *bench)
    assert outcome.exit_code in fault.ends, outcome.message
    assert outcome.seconds < LIMIT_S
    assert outcome.flashed_again
    if outcome.exit_code:
        assert outcome.message.count(". ") >= 1, "no next step"
        assert len(outcome.message) < 400

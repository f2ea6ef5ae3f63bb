"""Surveys are kept, and never trusted where anything about them is in doubt."""

from pathlib import Path

import pytest

from automcu.brief import Limits
from automcu.mcu import Device, find_device
from automcu.networks.cells.accuracies import accuracy_prior, unknown_accuracies
from automcu.networks.cells.skeleton import Skeleton, SurveyOverview
from automcu.networks.cells.survey import survey
from automcu.networks.cells.survey_cache import cached_overview, cached_survey

TINY = Skeleton(stem_channels=4, cells_per_stage=1, resolution=8)
survey_module = __import__("automcu.networks.cells.survey", fromlist=["survey"])
cache_module = __import__("automcu.networks.cells.survey_cache", fromlist=["cached_survey"])


@pytest.fixture
def device() -> Device:
    return find_device("stm32f407g-disc1")


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[Skeleton]:
    """The skeletons that were surveyed rather than read."""
    asked: list[Skeleton] = []

    def counting(device: Device, skeleton: Skeleton, limits: Limits, **prior: object):  # type: ignore[no-untyped-def]
        asked.append(skeleton)
        return survey(device, skeleton, limits, **prior)  # type: ignore[arg-type]

    monkeypatch.setattr(survey_module, "survey", counting)
    return asked


def test_the_second_answer_is_the_first_without_computing(
    device: Device, computed: list[Skeleton], tmp_path: Path
) -> None:
    first = cached_survey(device, TINY, tmp_path, Limits(latency_ms=5))
    assert cached_survey(device, TINY, tmp_path, Limits(latency_ms=5)) == first
    assert len(computed) == 1


def test_another_limit_or_profile_is_another_question(
    device: Device, computed: list[Skeleton], tmp_path: Path
) -> None:
    cached_survey(device, TINY, tmp_path)
    cached_survey(device, TINY, tmp_path, Limits(latency_ms=5))
    slower = device.model_copy(update={"clock_hz": device.clock_hz // 2})
    found = cached_survey(slower, TINY, tmp_path)
    assert len(computed) == 3
    assert found.feasible_cells[0].latency_ms > 0


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other"])
def test_a_damaged_entry_is_made_anew(
    device: Device, computed: list[Skeleton], tmp_path: Path, damage: str
) -> None:
    first = cached_survey(device, TINY, tmp_path)
    (entry,) = tmp_path.glob("*.survey")
    assert len(list(tmp_path.iterdir())) == 2
    content = entry.read_bytes()
    entry.write_bytes(
        {
            "cut": content[: len(content) // 2],
            "flipped": content.replace(b'"feasible":', b'"feasible": 1', 1),
            "empty": b"",
            "other": b"not a survey",
        }[damage]
    )
    again = cached_survey(device, TINY, tmp_path)
    assert again.feasible_cells == first.feasible_cells
    assert len(computed) == 2
    assert entry.read_bytes()[64:66] == b'{"'


def test_a_folder_that_cannot_be_written_to_only_keeps_nothing(
    device: Device, computed: list[Skeleton], tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert cached_survey(device, TINY, blocked / "surveys").cells == 15625


def test_another_accuracy_table_is_another_question(
    device: Device, computed: list[Skeleton], tmp_path: Path
) -> None:
    cached_survey(device, TINY, tmp_path)
    cached_survey(device, TINY, tmp_path, prior=accuracy_prior("int8"))
    unknown = cached_survey(device, TINY, tmp_path, prior=unknown_accuracies())
    again = cached_survey(device, TINY, tmp_path, prior=unknown_accuracies())
    assert len(computed) == 3
    assert again == unknown
    assert {cell.prior for cell in unknown.feasible_cells} == {None}


def test_an_overview_is_the_survey_without_its_cells(
    device: Device, computed: list[Skeleton], tmp_path: Path
) -> None:
    first = cached_overview(device, TINY, tmp_path, Limits(latency_ms=5))
    again = cached_overview(device, TINY, tmp_path, Limits(latency_ms=5))
    whole = cached_survey(device, TINY, tmp_path, Limits(latency_ms=5))
    assert len(computed) == 1
    assert type(again) is SurveyOverview
    for found in (first, again):
        assert found.model_dump(include=set(SurveyOverview.model_fields)) == whole.model_dump(
            exclude={"feasible_cells"}
        )


def test_a_damaged_overview_is_made_anew(
    device: Device, computed: list[Skeleton], tmp_path: Path
) -> None:
    first = cached_overview(device, TINY, tmp_path)
    for entry in tmp_path.iterdir():
        entry.write_bytes(entry.read_bytes()[:-3])
    assert cached_overview(device, TINY, tmp_path).front == first.front
    assert len(computed) == 2


def test_every_source_that_a_survey_depends_on_is_there() -> None:
    folders = [cache_module._PACKAGE / name for name in cache_module._SOURCES]
    assert [folder.name for folder in folders if not any(folder.rglob("*.py"))] == []

import io

from rich.console import Console

from automcu.networks.cells.cell import Cell
from automcu.networks.cells.family import cell_name
from automcu.report.record import Findings
from automcu.report.wording import (
    duration,
    milliseconds,
    modelled_milliseconds,
    result_rows,
    summary,
    understood_table,
)


def _printed(renderable: object) -> str:
    console = Console(file=io.StringIO(), width=140)
    console.print(renderable)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


def test_the_terminal_shows_candidates_and_the_result(findings: Findings) -> None:
    text = _printed(summary(findings))
    assert "41,234 of 93,750 networks fit; 3 were trained" in text
    assert text.count("►") == 1
    assert "98.33 %" in text
    assert "≤ 64.0 KB" in text
    assert "360 answers equal the integer reference" in " ".join(text.split())


def test_the_tighter_of_board_and_brief_is_the_limit(findings: Findings) -> None:
    limits = {what: limit for what, _, limit, _ in result_rows(findings)}
    assert limits["RAM"] == "≤ 64.0 KB"
    assert limits["flash"] == "≤ 1,024.0 KB"
    assert limits["latency, median"] == "≤ 20 ms"


def test_the_terminal_says_what_became_of_the_limits_and_what_was_not_read(
    findings: Findings,
) -> None:
    assert "Limits: every limit is kept." in _printed(summary(findings))
    brief = findings.brief.model_copy(update={"unused": ("[red]real time[/red]",)})
    text = _printed(summary(findings.model_copy(update={"brief": brief})))
    assert "each limit that was read is kept; not used of the brief: [red]real time[/red]" in text


def test_what_was_understood_is_a_table() -> None:
    assert "at most 20 ms" in _printed(understood_table([("latency", "at most 20 ms")]))


def test_dead_edges_are_dashes_in_a_cell_name() -> None:
    cell = Cell(("nor_conv_3x3", "none", "none", "skip_connect", "none", "avg_pool_3x3"))
    assert cell_name(str(cell)) == "– – – skip – –"


def test_durations_and_latencies_read_well() -> None:
    assert [duration(s) for s in (0.42, 12.3, 59.9, 200)] == ["0.4 s", "12 s", "1 min 0 s",
                                                            "3 min 20 s"]  # fmt: skip
    assert [milliseconds(ms) for ms in (0.0123, 9.876, 123.4)] == ["0.0123 ms", "9.88 ms", "123 ms"]


def test_a_modelled_latency_has_its_error_bar_where_one_is_known(findings: Findings) -> None:
    assert modelled_milliseconds(16.62, 2.34) == "16.6 ms ± 2.3 %"
    assert modelled_milliseconds(16.62, None) == "16.6 ms"
    assert "ms ±" not in _printed(summary(findings))
    estimate = findings.estimate.model_copy(update={"latency_percent": 2.3})
    known = findings.model_copy(update={"estimate": estimate})
    assert "cost modelled, ms ± 2.3 %" in _printed(summary(known))

import os
import re
import xml.etree.ElementTree as ElementTree
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import pytest

import automcu
from automcu.report.html import is_current, render_html, write_html
from automcu.report.record import Findings

VOID = {"meta", "link", "br", "hr", "img", "input", "col"}


class _Page(HTMLParser):
    """Collects tags, attributes and text, and notices tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_says_every_figure_with_its_origin(findings: Findings) -> None:
    page = _Page(render_html(findings))
    assert page.open == []
    for figure in ("98.33 %", "93,750", "41,234", "107.9 KB", "13.7 KB", "360", "C16 N1 8×8×1"):
        assert figure in page.text
    assert "modelled by the virtual board" in page.text
    assert "every limit is kept" in page.text


def test_the_estimate_has_its_error_bar(findings: Findings) -> None:
    estimate = findings.estimate.model_copy(update={"latency_percent": 2.3})
    page = render_html(findings.model_copy(update={"estimate": estimate}))
    assert "ms ± 2.3 % (the largest error on networks kept out of the fit)" in page
    assert "±" not in render_html(findings)


def test_the_page_needs_nothing_but_itself(findings: Findings) -> None:
    page = _Page(render_html(findings))
    links = [value for name, value in page.attributes if name in ("href", "src", "xlink:href")]
    assert all(value is not None and value.startswith("#") for value in links)


def test_what_the_user_wrote_is_text_and_never_markup(findings: Findings) -> None:
    page = render_html(findings)
    assert "STM32F407 &lt;b&gt;, under 20 ms &amp; 64 KB" in page


def test_names_from_files_are_text_in_the_page_and_in_its_pictures(findings: Findings) -> None:
    hostile = "</svg><script>$\\frac$[/red]\x1b[2J\x00\u202e\n&$x^"
    layers = tuple(one.model_copy(update={"name": hostile}) for one in findings.measurement.layers)
    page = render_html(
        findings.model_copy(
            update={
                "measurement": findings.measurement.model_copy(
                    update={"layers": layers, "board": hostile}
                ),
                "arena": tuple(
                    one.model_copy(update={"tensor": hostile[:9] + "$$"}) for one in findings.arena
                ),
                "brief": findings.brief.model_copy(update={"text": hostile}),
                "device": findings.device.model_copy(update={"name": hostile}),
                "warnings": (hostile,),
                "missed": (hostile,),
            }
        )
    )
    assert "<script" not in page
    assert not set("\x1b\x00\u202e") & set(page)
    assert "\\x1b[2J\\x00\\u202e" in page
    assert _Page(page).open == []
    for part in page.split("<svg ")[1:]:
        ElementTree.fromstring("<svg " + part[: part.index("</svg>")] + "</svg>")


def test_a_result_that_is_none_is_a_warning_on_top_of_the_page(findings: Findings) -> None:
    assert "Warning:" not in _Page(render_html(findings)).text
    warned = findings.model_copy(update={"warnings": ("Only 12 inputs were tested.",)})
    text = _Page(render_html(warned)).text
    assert text.index("Only 12 inputs were tested.") < text.index("Result")


MEASURED = re.compile(r"(?i)measured")


def _body(findings: Findings) -> str:
    body = render_html(findings).partition("<body>")[2].partition("</body>")[0]
    return " ".join(_Page(body).text.split())


@pytest.mark.parametrize(
    ("execution", "says"),
    [
        ("virtual board", "core, memory and serial line are emulated, and no silicon was used"),
        ("network in QEMU", "Only the network's code ran, in QEMU."),
        ("image in QEMU", "The whole flash image booted in Espressif's QEMU"),
    ],
)
def test_only_silicon_is_said_to_have_measured_and_the_page_names_what_ran(
    findings: Findings, execution: str, says: str
) -> None:
    measurement = findings.measurement.model_copy(update={"execution": execution})
    shown = findings.model_copy(
        update={
            "measurement": measurement,
            "seconds": {"flashing and running on the board": 3.0},
        }
    )
    text = _body(shown)
    assert says in text
    assert not MEASURED.search(text)
    assert " on the board" not in text
    on_a_chip = shown.model_copy(
        update={
            "measurement": measurement.model_copy(
                update={"execution": "chip", "latency_source": "measured", "board": "/dev/ttyACM0"}
            )
        }
    )
    text = _body(on_a_chip)
    assert len(MEASURED.findall(text)) >= 4
    assert "accuracy on the board" in text and "emulat" not in text


def test_a_missed_goal_is_on_top_of_the_page(findings: Findings) -> None:
    missed = findings.model_copy(update={"missed": ("Accuracy is 2 points short.",)})
    text = _Page(render_html(missed)).text
    assert "Accuracy is 2 points short." in text
    assert "every limit is kept" not in text


def test_a_measured_latency_is_never_called_modelled(findings: Findings) -> None:
    measurement = findings.measurement.model_copy(update={"latency_source": "measured"})
    text = _Page(render_html(findings.model_copy(update={"measurement": measurement}))).text
    assert "measured on the board" in text
    assert "timing model" not in text


def test_every_picture_is_well_formed_and_has_a_title(findings: Findings) -> None:
    page = render_html(findings)
    pictures = [part[: part.index("</svg>")] + "</svg>" for part in page.split("<svg ")[1:]]
    assert len(pictures) == 3
    for picture in pictures:
        root = ElementTree.fromstring("<svg " + picture)
        assert root.get("aria-label")
        assert root.get("viewBox")
    assert "stage0.cell0.edge3" in pictures[1]
    assert "cell0.node3" in pictures[2]


def test_many_layers_are_cut_down_to_the_slowest_and_the_page_says_so(findings: Findings) -> None:
    layer = findings.measurement.layers[0]
    layers = tuple(
        layer.model_copy(update={"name": f"layer{n}", "cycles": 1000 + n}) for n in range(130)
    )
    measurement = findings.measurement.model_copy(update={"layers": layers})
    page = render_html(findings.model_copy(update={"measurement": measurement}))
    assert "82 faster layers" in page
    assert "layer129<" in page
    assert "layer1<" not in page


@pytest.mark.parametrize(
    ("update", "badge"),
    [
        ({}, "every limit is kept"),
        ({"unused": ("low <b>power</b>", "real time")}, "each limit that was read is kept"),
        ({"unused": None}, "each limit that was read is kept"),
        ({"unused": None, "text": ""}, "every limit is kept"),
        ({"max_latency_ms": None, "max_ram_bytes": None}, "no limit was given"),
        (
            {"max_latency_ms": None, "max_ram_bytes": None, "unused": ("real time",)},
            "no limit was read",
        ),
    ],
)
def test_every_limit_is_kept_only_where_the_whole_brief_was_read(
    update: dict[str, object], badge: str, findings: Findings
) -> None:
    brief = findings.brief.model_copy(update={"min_accuracy": None, **update})
    page = render_html(findings.model_copy(update={"brief": brief}))
    text = " ".join(_Page(page).text.split())
    assert badge in text
    assert ("every limit is kept" in text) == (badge == "every limit is kept")
    for words in brief.unused or ():
        assert f"<td>{escape(words)}</td>" in page
        assert f"<em>{escape(words)}</em>" in page


def test_a_limit_on_energy_stands_beside_what_is_modelled(findings: Findings) -> None:
    brief = findings.brief.model_copy(
        update={"max_energy_mj": 2.5, "notes": {"max_energy_mj": "two weeks on AA"}}
    )
    text = " ".join(_Page(render_html(findings.model_copy(update={"brief": brief}))).text.split())
    assert "≤ 2.5 mJ" in text
    assert "at most 2.5 mJ per inference (modelled): two weeks on AA" in text


def test_a_run_without_limits_has_a_page_too(findings: Findings) -> None:
    brief = findings.brief.model_copy(
        update={"max_latency_ms": None, "max_ram_bytes": None, "text": ""}
    )
    text = _Page(render_html(findings.model_copy(update={"brief": brief}))).text
    assert "digits on STM32F407 Discovery" in text


def test_the_page_is_written_whole(findings: Findings, page_path: Path) -> None:
    write_html(findings, page_path)
    assert page_path.read_text().endswith("</html>\n") or page_path.read_text().endswith("</html>")


def test_on_a_narrow_screen_every_figure_of_a_table_keeps_its_heading(findings: Findings) -> None:
    """There a row's cells stand below each other, without the table's head."""
    page = render_html(findings)
    assert "@media screen and (max-width: 560px)" in page
    tables = re.findall(r'<table class="rows">(.*?)</table>', page, re.S)
    assert len(tables) == 2
    for table in tables:
        headings = re.findall(r'<th class="number">(.*?)</th>', table)
        for row in re.findall(r"<tr[^>]*>(?:<th scope|<td).*?</tr>", table, re.S):
            labels = re.findall(r'data-label="(.*?)"', row)
            assert labels == [heading for heading in headings if heading != "result"]


def test_a_page_is_drawn_again_only_where_it_does_not_show_the_record(
    findings: Findings, tmp_path: Path
) -> None:
    record, page = tmp_path / "run.json", tmp_path / "report.html"
    record.write_text("{}")
    ours = findings.model_copy(update={"version": automcu.__version__})
    assert not is_current(page, record, ours)
    page.write_text("<html></html>\n")
    os.utime(record, ns=(0, 0))
    assert is_current(page, record, ours)
    assert not is_current(page, record, findings.model_copy(update={"version": "0.0.1"}))
    page.write_text("<html>cut sho")
    assert not is_current(page, record, ours)
    page.write_text("<html></html>\n")
    os.utime(page, ns=(0, 0))
    os.utime(record, ns=(10**9, 10**9))
    assert not is_current(page, record, ours)

"""The report as one self-contained HTML file: no script, no network, prints well."""

from functools import partial
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

import automcu
from automcu.brief import describe
from automcu.errors import printable
from automcu.networks.family import families, family_of
from automcu.records import write_atomically
from automcu.report import wording
from automcu.report.record import Findings
from automcu.report.wording import result_rows

_FOLDER = Path(__file__).parent


def write_html(findings: Findings, path: Path) -> None:
    """Write the report to `path`.

    Raises:
        WrongInputError: the file cannot be written.
    """
    write_atomically(path, render_html(findings).encode())


def is_current(page: Path, record: Path, findings: Findings) -> bool:
    """Whether `page` shows the run whose `record` holds the findings, as this automcu draws it.

    Drawing takes a second or two. A page that was cut short, or is older than the record or from
    another version, is not current.
    """
    try:
        text = page.read_text("utf-8").rstrip()
        is_newer = page.stat().st_mtime_ns >= record.stat().st_mtime_ns
    except (OSError, UnicodeDecodeError):
        return False
    return is_newer and text.endswith("</html>") and findings.version == automcu.__version__


def render_html(findings: Findings) -> str:
    """Return the report as the text of an HTML document."""
    from automcu.report import plots  # matplotlib, for which a page that is current need not wait

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters.update(
        kilobytes=wording.kilobytes,
        milliseconds=wording.milliseconds,
        modelled_milliseconds=wording.modelled_milliseconds,
        percent=wording.percent,
        duration=wording.duration,
        described=lambda network: family_of(network).describe(network),
        stage_name=partial(wording.stage_name, findings=findings),
    )
    return environment.get_template("report.html.jinja").render(
        findings=findings,
        families=families(),
        understood=describe(findings.brief),
        results=result_rows(findings),
        latency_word=wording.latency_word(findings),
        limits_word=wording.limits_word(findings),
        every_limit_is_kept=wording.EVERY_LIMIT_IS_KEPT,
        what_ran=wording.what_ran(findings),
        where_it_ran=wording.where_it_ran(findings.measurement),
        how_known=wording.how_known(findings),
        flash=_bar(
            findings.build.flash_bytes, findings.brief.max_flash_bytes, findings.device.flash_bytes
        ),
        ram=_bar(findings.build.ram_bytes, findings.brief.max_ram_bytes, findings.device.ram_bytes),
        latency=_bar(findings.measurement.latency_ms.median, findings.brief.max_latency_ms, None),
        scatter=plots.accuracy_over_latency(findings),
        layers=plots.latency_per_layer(findings),
        memory=plots.memory_plan(findings),
    )


def _printable(value: Any) -> Any:
    """Write out what a page cannot show; pictures are markup and have done so themselves."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _bar(used: float, asked: float | None, available: float | None) -> dict[str, Any]:
    """Describe a bar: how much of the tighter limit is used; no bar without a limit."""
    limits = [limit for limit in (asked, available) if limit]
    limit = min(limits, default=None)
    share = None if limit is None else min(100.0, 100.0 * used / limit)
    return {"limit": limit, "share": share, "over": limit is not None and used > limit}

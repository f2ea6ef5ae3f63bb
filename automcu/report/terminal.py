"""The result as tables in the terminal."""

from collections.abc import Iterable, Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from automcu.networks.family import family_of
from automcu.report.record import CandidateFinding, Findings
from automcu.report.wording import (
    board_name,
    error_bar,
    executed_by,
    kilobytes,
    latency_word,
    limits_word,
    millijoule,
    milliseconds,
    percent,
    what_ran,
    where_it_ran,
)


def understood_table(rows: Iterable[tuple[str, str]]) -> Table:
    """Return the table of what was understood."""
    table = Table(title="Understood", title_justify="left", show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column()
    for name, value in rows:
        table.add_row(name, value)
    return table


def summary(findings: Findings) -> RenderableType:
    """Return all that the terminal shows at the end of a run."""
    return Group(
        _candidates(findings),
        "",
        _result(findings),
        *(() if findings.measurement.executed_by == "chip" else (what_ran(findings),)),
        _limits(findings),
        *warning_lines(findings.warnings),
    )


def _limits(findings: Findings) -> Text:
    """Say whether limits are kept, and what of the brief says nothing of that."""
    unused = findings.brief.unused or ()
    left = f"; not used of the brief: {', '.join(unused)}" if unused else ""
    return Text(f"Limits: {limits_word(findings)}{left}.")


def warning_lines(warnings: Iterable[str]) -> Iterator[Text]:
    """Yield what nobody should overlook, a line for each sentence."""
    for sentence in warnings:
        yield Text.assemble(("Warning: ", "bold yellow"), sentence)


def _candidates(findings: Findings) -> Table:
    space = findings.space
    # The deployed network's bar; one of the other family has another, or none.
    percent_off = findings.estimate.latency_percent if len(space.families) < 2 else None
    off = error_bar(percent_off)
    table = Table(
        title=f"{space.feasible:,} of {space.space:,} networks fit; {space.trained} were trained\n"
        f"(accuracy in % on validation data, cost modelled{off and f', ms{off}'})",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
    )
    table.add_column("", no_wrap=True)
    table.add_column("cell" if set(space.families) <= {"cnn"} else "network")
    table.add_column("skeleton" if set(space.families) <= {"cnn"} else "around it", no_wrap=True)
    for heading in ("prior", "float", "int8", "ms", "flash KB", "RAM KB"):
        table.add_column(heading, justify="right", no_wrap=True)
    for candidate in findings.candidates:
        table.add_row(*_candidate_cells(candidate), style="bold" if candidate.chosen else None)
    return table


def _candidate_cells(candidate: CandidateFinding) -> tuple[str, ...]:
    return (
        "►" if candidate.chosen else "",
        *family_of(candidate.architecture).describe(candidate.architecture),
        "–" if candidate.prior is None else f"{candidate.prior:.1f}",
        f"{100 * candidate.float_accuracy:.2f}",
        f"{100 * candidate.int8_accuracy:.2f}",
        f"{candidate.latency_ms:.3g}",
        f"{candidate.flash_bytes / 1024:.1f}",
        f"{candidate.ram_bytes / 1024:.1f}",
    )


def _result(findings: Findings) -> Table:
    table = Table(title=f"On {board_name(findings)}", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("", style="bold", no_wrap=True)
    table.add_column("result", justify="right", no_wrap=True)
    table.add_column("limit", justify="right", no_wrap=True)
    table.add_column("how it is known")
    for row in result_rows(findings):
        table.add_row(*row)
    return table


def result_rows(findings: Findings) -> tuple[tuple[str, str, str, str], ...]:
    """Return (what, result, limit, how it is known) rows of the deployed network."""
    brief, device = findings.brief, findings.device
    accuracy, measurement, build = findings.accuracy, findings.measurement, findings.build
    goal = f"≥ {percent(brief.min_accuracy)}" if brief.min_accuracy else "–"
    latency_limit = f"≤ {milliseconds(brief.max_latency_ms)}" if brief.max_latency_ms else "–"
    agreement = accuracy.board_inputs - accuracy.board_mismatches
    return (
        (
            f"accuracy, int8 {where_it_ran(measurement)}",
            percent(accuracy.board),
            goal,
            f"{accuracy.board_inputs:,} test inputs: {executed_by(measurement)}; "
            f"{agreement:,} answers equal the integer reference, bit by bit",
        ),
        (
            "accuracy, int8 on the host",
            percent(accuracy.host),
            "–",
            f"integer reference on {accuracy.host_inputs:,} test inputs",
        ),
        (
            "accuracy, float",
            percent(accuracy.float_),
            "–",
            f"float ONNX file in onnxruntime on {accuracy.host_inputs:,} test inputs",
        ),
        (
            "latency, median",
            milliseconds(measurement.latency_ms.median),
            latency_limit,
            f"{latency_word(findings)}; {measurement.cycles:,} cycles at "
            f"{device.clock_hz / 1e6:g} MHz",
        ),
        (
            "energy of an inference",
            millijoule(device.energy_millijoule(measurement.latency_ms.median)),
            f"≤ {millijoule(brief.max_energy_mj)}" if brief.max_energy_mj else "–",
            f"modelled: latency at the profile's {device.power.active_milliampere:g} mA "
            f"and {device.power.supply_volt:g} V",
        ),
        (
            "flash",
            kilobytes(build.flash_bytes),
            f"≤ {kilobytes(min(brief.max_flash_bytes or device.flash_bytes, device.flash_bytes))}",
            f"linked by {build.compiler}; {kilobytes(build.weight_bytes)} of it weights",
        ),
        (
            "RAM",
            kilobytes(build.ram_bytes),
            f"≤ {kilobytes(min(brief.max_ram_bytes or device.ram_bytes, device.ram_bytes))}",
            f"linked; arena {kilobytes(build.arena_bytes)}, stack used "
            f"{measurement.stack_bytes:,} bytes",
        ),
    )

"""How figures and results are written: words for terminal and page, tables for the terminal."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from automcu.brief import NO_LIMITS
from automcu.networks.family import Family, families, family_of

if TYPE_CHECKING:
    from automcu.boards.records import Execution, Measurement
    from automcu.report.record import CandidateFinding, Findings


def kilobytes(size: int) -> str:
    """Write bytes as KB of 1,024 bytes with one decimal."""
    return f"{size / 1024:,.1f} KB"


def millijoule(value: float) -> str:
    """Write an energy with three significant digits."""
    return f"{value:.3g} mJ"


def milliseconds(value: float) -> str:
    """Write a latency with three significant digits."""
    return f"{value:,.3g} ms" if value < 100 else f"{value:,.0f} ms"


def modelled_milliseconds(value: float, error_percent: float | None) -> str:
    """Write a modelled latency with its error bar, where one is known: "16.6 ms ± 2.3 %"."""
    return milliseconds(value) + error_bar(error_percent)


EVERY_LIMIT_IS_KEPT = "every limit is kept"
"""What is said only where the whole brief was read, and each of its limits kept."""


def limits_word(findings: "Findings") -> str:
    """Say what became of the brief's limits, those among words that were not read included."""
    brief = findings.brief
    if findings.missed:
        return "missed"
    if brief.limits == NO_LIMITS and brief.min_accuracy is None:
        return "no limit was given" if brief.is_read_whole else "no limit was read"
    return EVERY_LIMIT_IS_KEPT if brief.is_read_whole else "each limit that was read is kept"


def error_bar(error_percent: float | None) -> str:
    """Write the error bar of a modelled latency, or nothing where none is known."""
    return "" if error_percent is None else f" ± {error_percent:.1f} %"


def percent(fraction: float) -> str:
    """Write a fraction as a percentage with two decimals."""
    return f"{100 * fraction:.2f} %"


def duration(seconds: float) -> str:
    """Write a duration for people: "0.4 s", "12 s", "3 min 20 s"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


_WHERE: "dict[Execution, str]" = {
    "chip": "on the board",
    "virtual board": "on the virtual board",
    "network in QEMU": "in QEMU",
    "image in QEMU": "in QEMU",
}
_EXECUTED_BY: "dict[Execution, str]" = {
    "chip": "the chip ran the whole firmware",
    "virtual board": "an emulator of the core ran the whole firmware",
    "network in QEMU": "QEMU ran the network's code alone",
    "image in QEMU": "Espressif's QEMU booted the whole flash image",
}
_ONLY_THE_NETWORK = (
    "The instructions are those of the firmware, at other addresses, on QEMU's lx106 core; high "
    "products and divisions, which that core lacks, are emulated"
)


def where_it_ran(measurement: "Measurement") -> str:
    """Say in a few words where the network ran: "on the board", "in QEMU"."""
    return _WHERE[measurement.executed_by]


def executed_by(measurement: "Measurement") -> str:
    """Say what computed the answers."""
    return _EXECUTED_BY[measurement.executed_by]


def board_name(findings: "Findings") -> str:
    """Say which board it was, and whether it was one."""
    measurement, name = findings.measurement, findings.device.name
    if measurement.executed_by == "chip":
        return f"the {name} at {measurement.board}"
    if measurement.executed_by == "virtual board":
        return f"a virtual {name}"
    return f"no {name}, but QEMU"


def what_ran(findings: "Findings") -> str:
    """Say in sentences what executed, and what did not."""
    name = findings.device.name
    match findings.measurement.executed_by:
        case "chip":
            return f"The firmware ran on {board_name(findings)}."
        case "virtual board":
            return (
                f"The firmware's machine code ran on a virtual {name}: core, memory and serial "
                "line are emulated, and no silicon was used."
            )
        case "network in QEMU":
            return (
                f"Only the network's code ran, in QEMU. {_ONLY_THE_NETWORK}. Start-up, clock, "
                f"caches and serial line of the {name} were not run, and no silicon was used."
            )
        case _:
            return (
                "The whole flash image booted in Espressif's QEMU and answered over its serial "
                f"line. Cycles and stack are those of the network's code alone. "
                f"{_ONLY_THE_NETWORK}. No silicon was used."
            )


def latency_word(findings: "Findings") -> str:
    """Say how the board's latency came about."""
    match findings.measurement.executed_by:
        case "chip":
            return "measured on the board"
        case "virtual board":
            return "modelled by the virtual board"
        case _:
            return "modelled from the instructions that QEMU counted"


def how_known(findings: "Findings") -> tuple[tuple[str, str], ...]:
    """Return for each kind of figure one word on how it is known, and what that means.

    "measured" is said of silicon alone; "emulated" is exact in its bytes, "linked" in its sizes.
    """
    accuracy, measurement = findings.accuracy, findings.measurement
    on_chip = measurement.executed_by == "chip"
    word = "measured" if on_chip else "emulated"
    agreement = accuracy.board_inputs - accuracy.board_mismatches
    if on_chip:
        latency = "the chip's cycle counter"
    elif measurement.executed_by == "virtual board":
        latency = f"the virtual board's timing model of the {findings.device.core}, not silicon"
    else:
        latency = (
            f"instructions that QEMU counted, by timing rules of the {findings.device.core}, at "
            "the profile's clock; not silicon"
        )
    stack = "the running firmware" if measurement.executed_by in _WHOLE else "the network's code"
    return (
        (
            word,
            f"accuracy: {executed_by(measurement)}; {agreement:,} of {accuracy.board_inputs:,} "
            "answers equal the integer reference",
        ),
        ("linked", "flash and RAM: section sizes of the linked ELF"),
        (word, f"stack: high-water mark of {stack}, {measurement.stack_bytes:,} bytes"),
        (measurement.latency_source, f"latency: {latency}"),
    )


_WHOLE = ("chip", "virtual board")
_RUNNING = "flashing and running on the board"


def stage_name(stage: str, findings: "Findings") -> str:
    """Name a stage of the run; what no board did is not said of one."""
    if stage != _RUNNING or findings.measurement.executed_by == "chip":
        return stage
    return f"running {where_it_ran(findings.measurement)}"


def understood_table(rows: Iterable[tuple[str, str]]) -> Table:
    """Return the table of what was understood."""
    table = Table(title="Understood", title_justify="left", show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column()
    for name, value in rows:
        table.add_row(name, value)
    return table


def summary(findings: "Findings") -> RenderableType:
    """Return all that the terminal shows at the end of a run."""
    return Group(
        _candidates(findings),
        "",
        _result(findings),
        *(() if findings.measurement.executed_by == "chip" else (what_ran(findings),)),
        _limits(findings),
        *warning_lines(findings.warnings),
    )


def _limits(findings: "Findings") -> Text:
    """Say whether limits are kept, and what of the brief says nothing of that."""
    unused = findings.brief.unused or ()
    left = f"; not used of the brief: {', '.join(unused)}" if unused else ""
    return Text(f"Limits: {limits_word(findings)}{left}.")


def warning_lines(warnings: Iterable[str]) -> Iterator[Text]:
    """Yield what nobody should overlook, a line for each sentence."""
    for sentence in warnings:
        yield Text.assemble(("Warning: ", "bold yellow"), sentence)


def _candidates(findings: "Findings") -> Table:
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
    network, frame = _headings(findings)
    table.add_column(network)
    table.add_column(frame, no_wrap=True)
    for heading in ("prior", "float", "int8", "ms", "flash KB", "RAM KB"):
        table.add_column(heading, justify="right", no_wrap=True)
    for candidate in findings.candidates:
        table.add_row(*_candidate_cells(candidate), style="bold" if candidate.chosen else None)
    return table


def _headings(findings: "Findings") -> tuple[str, str]:
    """Those of the only family, or of any."""
    names = set(findings.space.families) or {family_of(findings.chosen.architecture).name}
    return families()[names.pop()].headings if len(names) == 1 else Family.headings


def _candidate_cells(candidate: "CandidateFinding") -> tuple[str, ...]:
    described = family_of(candidate.architecture).describe(candidate.architecture)
    return (
        "►" if candidate.chosen else "",
        described.name,
        described.frame,
        "–" if candidate.prior is None else f"{candidate.prior:.1f}",
        f"{100 * candidate.float_accuracy:.2f}",
        f"{100 * candidate.int8_accuracy:.2f}",
        f"{candidate.latency_ms:.3g}",
        f"{candidate.flash_bytes / 1024:.1f}",
        f"{candidate.ram_bytes / 1024:.1f}",
    )


def _result(findings: "Findings") -> Table:
    table = Table(title=f"On {board_name(findings)}", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("", style="bold", no_wrap=True)
    table.add_column("result", justify="right", no_wrap=True)
    table.add_column("limit", justify="right", no_wrap=True)
    table.add_column("how it is known")
    for row in result_rows(findings):
        table.add_row(*row)
    return table


def result_rows(findings: "Findings") -> tuple[tuple[str, str, str, str], ...]:
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

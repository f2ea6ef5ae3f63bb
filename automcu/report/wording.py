"""How figures are written, the same in the terminal and in HTML."""

from typing import TYPE_CHECKING

from automcu.space import Architecture, Cell, Network, Skeleton, TransformerShape

if TYPE_CHECKING:
    from automcu.report.record import Findings

_SHORT_OPERATIONS = {
    "none": "–",
    "skip_connect": "skip",
    "nor_conv_1x1": "1×1",
    "nor_conv_3x3": "3×3",
    "avg_pool_3x3": "pool",
}


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


def network_name(network: Network) -> str:
    """Write a cell's operations, or a vision transformer's width, depth, heads and MLP ratio."""
    if isinstance(network, Architecture):
        return cell_name(network.cell)
    return (
        f"ViT {network.dim} wide, {network.depth} deep, {network.heads} h, MLP×{network.mlp_ratio}"
    )


def frame_name(network: Network) -> str:
    """Write what is around a cell, or how a vision transformer cuts its images."""
    if isinstance(network, TransformerShape):
        size = f"{network.resolution}×{network.resolution}×{network.in_channels}"
        return f"P{network.patch} {size} ternary"
    return skeleton_name(network.skeleton)


def skeleton_name(skeleton: Skeleton) -> str:
    """Write a skeleton in a few characters: width, cells per stage, input."""
    return (
        f"C{skeleton.stem_channels} N{skeleton.cells_per_stage} "
        f"{skeleton.resolution}×{skeleton.resolution}×{skeleton.input_channels}"
        + (" ternary" if skeleton.ternary else "")
    )


def cell_name(cell: str) -> str:
    """Write a cell's six operations in edge order, dead edges as dashes."""
    return " ".join(_SHORT_OPERATIONS[op] for op in Cell.parse(cell).without_dead_edges().edges)


def board_name(findings: "Findings") -> str:
    """Say which board it was, and whether it was one."""
    board, name = findings.measurement.board, findings.device.name
    return f"a virtual {name}" if board == "virtual" else f"the {name} at {board}"


def latency_word(findings: "Findings") -> str:
    """Say how the board's latency came about."""
    if findings.measurement.latency_source == "measured":
        return "measured on the board"
    return "modelled by the virtual board"

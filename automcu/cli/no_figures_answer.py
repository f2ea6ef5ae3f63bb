"""What `compile` says for a device that nobody has fitted figures for: what is known without."""

from pathlib import Path
from typing import TYPE_CHECKING

from automcu.cli.answer import Answer
from automcu.errors import EXIT_DONE, EXIT_GOAL_MISSED
from automcu.report.wording import kilobytes

if TYPE_CHECKING:
    from automcu.compiler import Program, Project
    from automcu.errors import AutomcuError
    from automcu.mcu import Device


def answer_without_figures(
    program: "Program", device: "Device", project: "Project", out: Path, reason: "AutomcuError"
) -> Answer:
    """Weights and arena are exact; code and latency are None."""
    region = device.region_for("arena").size
    fits = program.arena.size <= region and program.weight_bytes <= device.flash_bytes
    document = {
        "device": device.id,
        "fits": None if fits else False,
        "weight_bytes": program.weight_bytes,
        "flash_bytes": None,
        "arena_bytes": program.arena.size,
        "arena_lower_bound_bytes": program.arena.lower_bound,
        "cycles": None,
        "latency_ms": None,
        "macs": program.macs,
        "layers": [
            layer.model_dump(include={"name", "op", "variant", "macs"}) for layer in project.layers
        ],
        "project": str(out),
        "model_hash": project.model_hash,
    }
    told = (
        f"For {device.id}: weights {kilobytes(program.weight_bytes)}, arena "
        f"{kilobytes(program.arena.size)} (lower bound {kilobytes(program.arena.lower_bound)}), "
        f"both to the byte; {program.macs:,} MACs. Code size and latency are not known: {reason}\n"
        f"C project: {out}"
    )
    if fits:
        return Answer(document, told, EXIT_DONE, None)
    message = (
        f"It does not fit: arena {program.arena.size:,} of {region:,} bytes, weights "
        f"{program.weight_bytes:,} of {device.flash_bytes:,}. Choose a larger board."
    )
    return Answer(document, told, EXIT_GOAL_MISSED, message)

"""A float model on the command line: quantised first, and how near the int8 network came."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from automcu.cli.answer import Answer

if TYPE_CHECKING:
    from automcu.user_model.quantise import Calibrated


def quantised_first(
    model: Path, data: str | None, quantised: Path
) -> "tuple[Path, Calibrated | None]":
    """The file to go on with: the model, or with `--calibrate` its quantised form."""
    if data is None:
        return model, None
    from automcu.user_model.quantise import calibrate_model_file

    return quantised, calibrate_model_file(model, data, quantised)


def with_calibrated(answer: Answer, calibrated: "Calibrated | None") -> Answer:
    """The answer, with the comparison under `calibrated` and a line if there is one."""
    if calibrated is None:
        return answer
    document = {**answer.document, "calibrated": calibrated.model_dump()}
    shown = Group(answer.shown, *(Text(line) for line in _lines(calibrated)))
    return replace(answer, document=document, shown=shown)


def _lines(calibrated: "Calibrated") -> list[str]:
    seen = "" if calibrated.unseen else ", which also calibrated it"
    noise = calibrated.sqnr_db
    line = (
        f"Quantised to int8; against the float model on {calibrated.inputs} inputs{seen}: "
        f"{_agreement(calibrated)}typical error {calibrated.typical_error:.2%} of the outputs' "
        f"range{'' if noise is None else f', signal to noise {noise:.1f} dB'}"
    )
    return [line, *calibrated.notes]


def _agreement(calibrated: "Calibrated") -> str:
    """How often both have the same largest output, which is a class where that is known."""
    if calibrated.same_class is not None:
        what = "class" if calibrated.are_classes else "largest output"
        return f"the same {what} in {calibrated.same_class:.1%}, "
    if calibrated.same_class_positions is not None:
        what = "class" if calibrated.are_classes else "largest channel"
        return f"the same {what} in {calibrated.same_class_positions:.1%} of the positions, "
    return ""

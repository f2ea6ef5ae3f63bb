"""A float model on the command line: quantised first, and how near the int8 network came."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group

from automcu.cli.answer import Answer

if TYPE_CHECKING:
    from automcu.pipeline import Calibrated


def quantised_first(
    model: Path, data: str | None, quantised: Path
) -> "tuple[Path, Calibrated | None]":
    """The file to go on with: the model, or with `--calibrate` its quantised form."""
    if data is None:
        return model, None
    from automcu.pipeline import calibrate_model_file

    return quantised, calibrate_model_file(model, data, quantised)


def with_calibrated(answer: Answer, calibrated: "Calibrated | None") -> Answer:
    """The answer, with the comparison under `calibrated` and a line if there is one."""
    if calibrated is None:
        return answer
    document = {**answer.document, "calibrated": calibrated.model_dump()}
    return replace(answer, document=document, shown=Group(answer.shown, _line(calibrated)))


def _line(calibrated: "Calibrated") -> str:
    same = ""
    if calibrated.same_class is not None:
        same = f"the same class in {calibrated.same_class:.1%}, "
    return (
        f"Quantised to int8; against the float model on {calibrated.inputs} inputs: {same}"
        f"typical error {calibrated.typical_error:.2%} of the outputs' range"
    )

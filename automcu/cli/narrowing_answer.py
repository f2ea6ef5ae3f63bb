"""How narrow weights are told: which layers have them, and what they cost in accuracy."""

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Group

from automcu.cli.answer import Answer

if TYPE_CHECKING:
    from automcu.user_model.narrowing import Narrowing


def with_narrowing(answer: Answer, narrowing: "Narrowing | None") -> Answer:
    """The answer, with the widths and accuracies under `weights`, and a line if there are any."""
    if narrowing is None:
        return answer
    document = {**answer.document, "weights": narrowing.model_dump()}
    if not narrowing.widths and narrowing.accuracy is None:
        return replace(answer, document=document)
    from automcu.report.terminal import warning_lines

    shown = Group(answer.shown, _line(narrowing), *warning_lines(narrowing.warnings))
    return replace(answer, document=document, shown=shown)


def _line(narrowing: "Narrowing") -> str:
    layers = Counter(narrowing.widths.values())
    told = [f"{count} with {bits} bits" for bits, count in sorted(layers.items(), reverse=True)]
    line = f"Layers with narrow weights: {', '.join(told) or 'none'}"
    if narrowing.accuracy is None or narrowing.accuracy_8_bits is None:
        return line
    return (
        f"{line}; accuracy {narrowing.accuracy:.1%} on {narrowing.test_inputs} inputs, "
        f"{narrowing.accuracy_8_bits:.1%} with 8 bits"
    )

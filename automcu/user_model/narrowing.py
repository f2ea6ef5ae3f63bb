"""A model file with the weights that `--weights` asks for, and what that costs in accuracy."""

from pathlib import Path

from automcu.compiler import Graph
from automcu.errors import WrongInputError
from automcu.mcu.profile import Device
from automcu.records import Record
from automcu.user_model.compile import import_model_file
from automcu.user_model.labelled_inputs import load_labelled_inputs
from automcu.user_model.low_bit_weights import WEIGHTS, apply_weights, weight_widths


class Narrowing(Record):
    """Bits of the layers with fewer than 8, and accuracies on `test_inputs` labelled inputs.

    Ternary layers have 1.6 bits. Both accuracies are those of the integer reference; None where
    no data was given. `warnings` say why the accuracy is no result.
    """

    widths: dict[str, int | float]
    test_inputs: int = 0
    accuracy_8_bits: float | None = None
    accuracy: float | None = None
    warnings: tuple[str, ...] = ()


def narrow_model_file(
    model: Path,
    device: Device,
    weights: str = "8",
    max_flash_bytes: int | None = None,
    data: str | None = None,
) -> tuple[Graph, Narrowing]:
    """Read a model and narrow its weights; `data`, a data set, measures the error and the cost.

    Raises:
        WrongInputError: the file or the data are missing, or `weights` is none of the choices.
        UnsupportedModelError: the model is damaged, or holds what cannot be compiled.
    """
    if weights not in WEIGHTS:
        raise WrongInputError(f"Weights cannot be {weights!r}. Choose {', '.join(WEIGHTS)}.")
    graph = import_model_file(model)
    if data is None:
        narrow = apply_weights(graph, weights, device, max_flash_bytes)
        return narrow, Narrowing(widths=weight_widths(narrow))
    inputs = load_labelled_inputs(data, graph)
    narrow = apply_weights(graph, weights, device, max_flash_bytes, inputs.calibration)
    widths = weight_widths(narrow)
    before = inputs.outputs(graph)
    outputs = inputs.outputs(narrow) if widths else before
    return narrow, Narrowing(
        widths=widths,
        test_inputs=len(inputs.test),
        accuracy_8_bits=inputs.accuracy(before),
        accuracy=inputs.accuracy(outputs),
        warnings=inputs.warnings(outputs),
    )

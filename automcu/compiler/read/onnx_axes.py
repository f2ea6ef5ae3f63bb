"""In which order the axes of an ONNX file's input and output lie in ours: images channels-last."""

from automcu.compiler.read.activation import Activation
from automcu.compiler.read.arrange import image
from automcu.compiler.read.onnx_operators import Node, Reading
from automcu.compiler.read.view import in_order

Order = tuple[int, ...]

_CHANNELS_FIRST = ("Conv", "MaxPool", "AveragePool", "BatchNormalization", "GlobalAveragePool")
_QUANTISING = ("QuantizeLinear", "DequantizeLinear", "Cast", "Identity")
_KEEPING_AXES = (*_QUANTISING, "Add", "Sub", "Mul", "Div", "Pad", "Relu", "Clip")
_TO_CHANNELS_FIRST = (0, 3, 1, 2)
_CHANNELS_LAST = {3: (0, 2, 1), 4: (0, 2, 3, 1)}
_MOST_STEPS = 100


def input_order(name: str, shape: tuple[int, ...], reading: Reading) -> Order:
    """The order of the input's axes: that of the file only where the file is channels-last too."""
    first = _first_reader_of_shape(name, reading)
    natural = tuple(range(len(shape)))
    if len(shape) == 4:
        kind = "" if first is None else first.kind
        order = () if first is None else tuple(first.settings.get("perm", ()))
        has_channels_last = kind == "Transpose" and order == _TO_CHANNELS_FIRST
        has_one_channel_last = kind == "Reshape" and shape[3] == 1 and shape[1] > 1
        return natural if has_channels_last or has_one_channel_last else _CHANNELS_LAST[4]
    if len(shape) == 3 and first is not None and first.kind in _CHANNELS_FIRST:
        return _CHANNELS_LAST[3]
    return natural


def output_as_input(reading: Reading, order: Order, output: Activation) -> tuple[Activation, Order]:
    """The output with its axes ordered as `order`, the input's, where it has as many; their order.

    An image that the file itself transposes at its end stays as the file has it.
    """
    output = reading.builder.settled(output, "output")
    shape = output.view.shape
    natural = tuple(range(len(shape)))
    wanted = order if len(order) == len(shape) else natural
    if len(shape) == 4 and len(order) != 4:
        wanted = _CHANNELS_LAST[4]
    size = reading.builder.tensors[output.tensor].size
    for accepted in (wanted, natural) if output.step == "transpose" else (wanted,):
        parts = output.view.transposed(accepted).parts
        if output.view.offset == 0 and parts in (((size, 1),), ()):
            return output, accepted
    name = image(reading.builder, output, "output", (wanted[:-2], wanted[-2:-1], wanted[-1:]))
    return Activation(name, in_order(shape, wanted)), wanted


def _first_reader_of_shape(name: str, reading: Reading) -> Node | None:
    """The first node behind the input that tells which of its axes are the channels."""
    for _ in range(_MOST_STEPS):
        readers = [node for node in reading.readers.get(name, ()) if node.kind != "Shape"]
        if not readers:
            return None
        if readers[0].kind not in _KEEPING_AXES:
            return readers[0]
        name = readers[0].outputs[0]
    return None

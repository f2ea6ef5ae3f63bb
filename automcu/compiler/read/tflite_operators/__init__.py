"""What each TFLite operator becomes; importing this registers them all."""

from automcu.compiler.read.tflite_operators import batches, elementwise, movement, spatial
from automcu.compiler.read.tflite_operators.layer import (
    OPERATORS,
    Reading,
    tensor_quantisation,
)
from automcu.compiler.read.tflite_operators.records import (
    LayerRecord,
    ModelRecord,
    read_records,
)

__all__ = [
    "OPERATORS",
    "LayerRecord",
    "ModelRecord",
    "Reading",
    "batches",
    "elementwise",
    "movement",
    "read_records",
    "spatial",
    "tensor_quantisation",
]

"""What the operators compute: one file each, with attributes and integer reference."""

from automcu.compiler.operators.add import Add
from automcu.compiler.operators.convolution import Convolution
from automcu.compiler.operators.pool import AveragePool, MaxPool
from automcu.compiler.operators.rescale import Rescale

Attributes = Convolution | Add | AveragePool | MaxPool | Rescale

__all__ = ["Add", "Attributes", "AveragePool", "Convolution", "MaxPool", "Rescale"]

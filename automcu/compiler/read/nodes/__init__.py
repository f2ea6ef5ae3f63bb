"""What each kind of node becomes; importing this registers all readers."""

from automcu.compiler.read.nodes import (
    elementwise,
    functions,
    movement,
    quantisation,
    spatial,
    transformer,
)

__all__ = [
    "elementwise",
    "functions",
    "movement",
    "quantisation",
    "spatial",
    "transformer",
]

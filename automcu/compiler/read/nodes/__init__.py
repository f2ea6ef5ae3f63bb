"""What each kind of node becomes; importing this registers all readers."""

from automcu.compiler.read.nodes import (
    constants,
    elementwise,
    functions,
    movement,
    quantisation,
    resize,
    spatial,
    transformer,
)

__all__ = [
    "constants",
    "elementwise",
    "functions",
    "movement",
    "quantisation",
    "resize",
    "spatial",
    "transformer",
]

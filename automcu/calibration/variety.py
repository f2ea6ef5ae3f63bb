"""Every kernel its turn: choices that do not go by figures, so that all kernels get figures."""

import random

from automcu.compiler.choose import Choose, candidates
from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernel import Kernel
from automcu.mcu.profile import Device

_LAST_RESORT = 0.3  # portable kernels beside special ones are slow, and networks have others


def varied_choice(seed: int) -> Choose:
    """A choice by lot among the kernels that can carry out an operator; equal seeds, equal lots."""

    def choose(operator: Operator, graph: Graph, device: Device) -> Kernel:
        def draw(operator: Operator, graph: Graph) -> Kernel:
            *special, portable = candidates(operator, graph, device)
            weights = [1.0] * len(special) + [_LAST_RESORT]
            lots = random.Random(f"{seed} {operator.name}")
            return lots.choices([*special, portable], weights)[0]

        return operator.attributes.chosen_kernel(operator, graph, draw)

    return choose

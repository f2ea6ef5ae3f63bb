"""Every kernel that a graph can ask for has figures; what rests on a guess says so."""

from collections import Counter

import pytest

from automcu.brief import Limits
from automcu.cli.verdict import verdict_answer
from automcu.compiler import compile_graph
from automcu.cost.estimation import estimate_program
from automcu.cost.verdict import check
from automcu.mcu import Device, find_device
from automcu.mcu.profile import Latency
from benchmarks.graph_generator import random_graph

BOARDS = ("nucleo-l4r5zi", "stm32f746g-disco", "nucleo-u575zi-q")
GRAPHS = range(9000, 9040)
MOST_GUESSED = 0.08  # of the layers, on any board


@pytest.mark.parametrize("board", BOARDS)
def test_kernels_of_random_graphs_have_figures(board: str) -> None:
    device = find_device(board)
    layers: Counter[bool] = Counter()
    for seed in GRAPHS:
        found = estimate_program(compile_graph(random_graph(seed), device), device)
        guessed = set(found.guesses.layers)
        layers.update(layer.name in guessed for layer in found.layers)
    assert layers[True] <= MOST_GUESSED * layers.total()


def test_a_guess_is_told_and_refuses_nothing_without_the_word() -> None:
    device = _without_most_figures(find_device("nucleo-l4r5zi"))
    needed = estimate_program(compile_graph(random_graph(9001), device), device)
    assert needed.guesses.layers
    assert needed.latency_percent is None
    verdict = check(needed, device, Limits(latency_ms=needed.latency_ms / 2))
    assert [limit.certain for limit in verdict.limits] == [False]
    answer = verdict_answer(verdict)
    assert "cannot be promised" in str(answer.problem)
    assert answer.document["without_figures"] == list(needed.guesses.layers)


def _without_most_figures(device: Device) -> Device:
    def few(latency: Latency) -> Latency:
        kept = {k: v for k, v in latency.coefficients.items() if k.endswith("/call")}
        return latency.model_copy(update={"coefficients": kept})

    return device.model_copy(update={"latency": tuple(few(one) for one in device.latency)})

"""Every kernel that a graph can ask for has figures; what rests on a guess says so."""

import json
from pathlib import Path

import pytest

from automcu.brief import Limits
from automcu.cli.model import verdict_answer
from automcu.compiler import Graph, compile_graph
from automcu.cost.estimation import estimate_program
from automcu.cost.verdict import check
from automcu.mcu import Device, find_device
from automcu.mcu.profile import FittedFigures, Latency
from automcu.networks.cells.graph import architecture_graph
from automcu.networks.cells.skeleton import Architecture, Skeleton
from benchmarks.fit_cost_model import has_constant_result
from benchmarks.graph_generator import random_graph
from benchmarks.public_networks import PUBLIC_NETWORKS

BOARDS = ("nucleo-l4r5zi", "stm32f746g-disco", "nucleo-u575zi-q", "esp32-s3-devkitc-1")
GRAPHS = range(9000, 9040)
MOST_GUESSED = 0.02  # of the layers of random graphs, on any board
SKELETONS = (
    Skeleton(stem_channels=16, cells_per_stage=5),
    Skeleton(stem_channels=8, cells_per_stage=1, resolution=16, input_channels=1),
    Skeleton(stem_channels=6, cells_per_stage=2, resolution=24),
)
CELL = "|nor_conv_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|skip_connect~0|nor_conv_3x3~1|none~2|"


def guessed(graph: Graph, device: Device) -> tuple[str, ...]:
    return estimate_program(compile_graph(graph, device), device).guesses.layers


@pytest.mark.parametrize("board", BOARDS)
def test_kernels_of_random_graphs_have_figures(board: str) -> None:
    device = find_device(board)
    graphs = [random_graph(seed) for seed in GRAPHS]
    layers = sum(len(graph.operators) for graph in graphs)
    assert sum(len(guessed(one, device)) for one in graphs) <= MOST_GUESSED * layers


@pytest.mark.parametrize("board", BOARDS)
def test_nothing_is_guessed_of_public_networks(board: str) -> None:
    device = find_device(board)
    assert [name for name, make in PUBLIC_NETWORKS.items() if guessed(make(), device)] == []


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("skeleton", SKELETONS, ids=str)
def test_nothing_is_guessed_of_cells(skeleton: Skeleton, board: str) -> None:
    graph = architecture_graph(Architecture(cell=CELL, skeleton=skeleton))
    assert guessed(graph, find_device(board)) == ()


def test_a_guess_is_reported_and_refuses_nothing_without_the_word() -> None:
    device = _without_most_figures(find_device("nucleo-l4r5zi"))
    needed = estimate_program(compile_graph(random_graph(9001), device), device)
    assert needed.guesses.layers
    assert needed.latency_percent is None
    verdict = check(needed, device, Limits(latency_ms=needed.latency_ms / 2))
    assert [limit.certain for limit in verdict.limits] == [False]
    answer = verdict_answer(verdict)
    assert "cannot be promised" in str(answer.problem)
    assert answer.document["without_figures"] == list(needed.guesses.layers)


def test_an_error_bar_is_a_percentage_and_some_cycles() -> None:
    figures = (
        find_device("nucleo-l4r5zi")
        .latency[0]
        .model_copy(update={"network_percent": 7.5, "network_cycles": 500})
    )
    assert figures.error_percent(1_000) == 57.5
    assert figures.error_percent(10_000_000) == 7.5
    assert figures.model_copy(update={"network_percent": None}).error_percent(1_000) is None


def test_figures_from_before_bars_had_cycles_are_read(tmp_path: Path) -> None:
    figures = find_device("nucleo-l4r5zi").latency[0].model_dump(exclude={"network_cycles"})
    path = tmp_path / "board.json"
    path.write_text(json.dumps({"latency": [figures]}))
    (read,) = FittedFigures.load(path).latency
    assert read.error_percent(1_000) == read.network_percent


@pytest.mark.parametrize("seed", [7046, 7051], ids=["a clamp to one value", "a pool of nothing"])
def test_a_layer_of_one_result_is_recognised(seed: int) -> None:
    assert has_constant_result(random_graph(seed))


def _without_most_figures(device: Device) -> Device:
    def few(latency: Latency) -> Latency:
        kept = {k: v for k, v in latency.coefficients.items() if k.endswith("/call")}
        return latency.model_copy(update={"coefficients": kept})

    return device.model_copy(update={"latency": tuple(few(one) for one in device.latency)})

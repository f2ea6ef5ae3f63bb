"""The order of operators: valid, and on small graphs the best that there is."""

from collections.abc import Iterator, Mapping, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automcu.compiler import Graph, Operator, Quantisation, Tensor, compile_graph
from automcu.compiler.arena import plan_arena, schedule
from automcu.compiler.compile import choose_kernel
from automcu.compiler.kernel import Kernel
from automcu.compiler.ops import Add, Concatenate, Convolution, Rescale
from automcu.compiler.passes import optimise
from automcu.compiler.tensor import Window
from automcu.mcu import Device
from tests.compiler.random_graphs import graphs

SCALE = Quantisation(1.0, 0)
NOT_ITS_BUSINESS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
laws = settings(max_examples=60, deadline=None, suppress_health_check=NOT_ITS_BUSINESS)


@st.composite
def branching_graphs(draw: st.DrawFn, most_operators: int = 6) -> Graph:
    """Branches of unequal width, in place and not, all joined at the end."""
    tensors = {"image": Tensor("image", (2, 2, draw(st.integers(1, 9))), SCALE)}
    operators: list[Operator] = []

    def add(inputs: tuple[str, ...], channels: int, attributes: object) -> None:
        name = f"tensor{len(operators)}"
        tensors[name] = Tensor(name, (2, 2, channels), SCALE)
        operators.append(Operator(f"layer{len(operators)}", inputs, name, attributes))  # type: ignore[arg-type]

    for _ in range(draw(st.integers(1, most_operators))):
        source = tensors[draw(st.sampled_from(sorted(tensors)))]
        kind = draw(st.sampled_from(("wider or narrower", "spatial", "rescale", "add")))
        if kind == "rescale":
            add((source.name,), source.shape[2], Rescale())
        elif kind == "add":
            partners = [name for name, t in tensors.items() if t.shape == source.shape]
            inputs = (source.name, draw(st.sampled_from(sorted(partners))))
            add(inputs, source.shape[2], Add())
        else:
            size, around = (3, 1) if kind == "spatial" else (1, 0)
            channels = draw(st.integers(1, 40))
            window = Window(size, size, padding=(around,) * 4)
            add((source.name,), channels, Convolution(window, channels))
    read = {name for operator in operators for name in operator.inputs}
    leaves = tuple(name for name in tensors if name not in read)
    if len(leaves) > 1:
        add(leaves, sum(tensors[name].shape[2] for name in leaves), Concatenate(2))
    return Graph(tensors, tuple(operators), "image", operators[-1].output)


def kernels_of(graph: Graph, device: Device) -> dict[str, Kernel]:
    return {op.name: choose_kernel(op, graph, device) for op in graph.operators}


def peak(order: Sequence[Operator], graph: Graph, kernels: Mapping[str, Kernel]) -> int:
    """Bytes in use at the worst moment: what is alive, scratch, a result that is not in place."""

    def bytes_of(name: str) -> int:
        return -(-graph.tensors[name].size // 4) * 4

    alive, worst = {graph.input}, 0
    for step, operator in enumerate(order):
        needed_later = {name for other in order[step + 1 :] for name in other.inputs}
        needed_later.add(graph.output)
        kernel = kernels[operator.name]
        in_place = any(
            operator.inputs[index] not in needed_later
            and operator.inputs.count(operator.inputs[index]) == 1
            and graph.tensors[operator.inputs[index]].size >= graph.tensors[operator.output].size
            for index in kernel.overwrites
        )
        now = sum(map(bytes_of, alive)) + -(-kernel.scratch_bytes // 4) * 4
        worst = max(worst, now + (0 if in_place else bytes_of(operator.output)))
        alive = {name for name in alive | {operator.output} if name in needed_later}
    return worst


def all_orders(graph: Graph) -> Iterator[tuple[Operator, ...]]:
    def continued(done: tuple[Operator, ...], known: set[str]) -> Iterator[tuple[Operator, ...]]:
        if len(done) == len(graph.operators):
            yield done
        for operator in graph.operators:
            if operator.output not in known and known.issuperset(operator.inputs):
                yield from continued((*done, operator), known | {operator.output})

    return continued((), {graph.input})


@laws
@given(graph=graphs())
def test_every_operator_runs_once_and_after_what_it_reads(
    graph: Graph, portable_device: Device
) -> None:
    program = compile_graph(graph, portable_device)
    known = {program.graph.input}
    for operator in program.graph.operators:
        assert known.issuperset(operator.inputs)
        assert operator.output not in known
        known.add(operator.output)
    optimised = optimise(graph)
    assert {op.name for op in program.graph.operators} == {op.name for op in optimised.operators}


@laws
@given(graph=branching_graphs(most_operators=12))
def test_the_order_never_needs_more_memory_than_that_of_the_file(
    graph: Graph, portable_device: Device
) -> None:
    graph = optimise(graph)
    kernels = kernels_of(graph, portable_device)
    ordered = schedule(graph, kernels)
    assert peak(ordered, graph, kernels) <= peak(graph.operators, graph, kernels)


@laws
@given(graph=branching_graphs())
def test_no_order_of_a_small_graph_needs_less_memory(graph: Graph, portable_device: Device) -> None:
    graph = optimise(graph)
    kernels = kernels_of(graph, portable_device)
    best = min(peak(order, graph, kernels) for order in all_orders(graph))
    assert peak(schedule(graph, kernels), graph, kernels) == best


@laws
@given(graph=branching_graphs(most_operators=12))
def test_the_arena_s_lower_bound_is_the_peak_of_the_order(
    graph: Graph, portable_device: Device
) -> None:
    graph = optimise(graph)
    kernels = kernels_of(graph, portable_device)
    ordered = schedule(graph, kernels)
    arena = plan_arena(graph, ordered, kernels)
    assert arena.lower_bound == peak(ordered, graph, kernels)


def test_a_wide_branch_is_finished_before_the_next_is_begun(portable_device: Device) -> None:
    """Two wide tensors alive at once are what a bad order costs: the file has one."""
    tensors = {"image": Tensor("image", (4, 4, 4), SCALE)}
    operators = []
    for name, source, channels in (
        ("wide1", "image", 64),
        ("wide2", "image", 64),
        ("narrow1", "wide1", 4),
        ("narrow2", "wide2", 4),
    ):
        tensors[name] = Tensor(name, (4, 4, channels), SCALE)
        window = Window(3, 3, padding=(1, 1, 1, 1))
        operators.append(Operator(name, (source,), name, Convolution(window, channels)))
    tensors["sum"] = Tensor("sum", (4, 4, 4), SCALE)
    operators.append(Operator("sum", ("narrow1", "narrow2"), "sum", Add()))
    graph = Graph(tensors, tuple(operators), "image", "sum")
    kernels = kernels_of(graph, portable_device)
    ordered = schedule(graph, kernels)
    assert [op.name for op in ordered][:3] in (["wide1", "narrow1", "wide2"],)
    assert peak(ordered, graph, kernels) < peak(operators, graph, kernels) - 800


def test_a_segment_with_too_many_orders_keeps_that_of_the_file(
    portable_device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = {"image": Tensor("image", (1, 1, 4), SCALE)}
    operators = []
    for index in range(6):
        tensors[f"t{index}"] = Tensor(f"t{index}", (1, 1, 4), SCALE)
        operators.append(Operator(f"l{index}", ("image",), f"t{index}", Rescale()))
    tensors["all"] = Tensor("all", (1, 1, 24), SCALE)
    joined = tuple(f"t{index}" for index in range(6))
    operators.append(Operator("join", joined, "all", Concatenate(2)))
    graph = Graph(tensors, tuple(operators), "image", "all")
    monkeypatch.setattr("automcu.compiler.arena._MOST_STATES", 10)
    assert schedule(graph, kernels_of(graph, portable_device)) == graph.operators

"""The law behind every estimate: what is costed is what will be exported, imported and compiled."""

import pytest

from automcu.compiler import Program, compile_graph, import_onnx
from automcu.errors import WrongInputError
from automcu.mcu import Device, find_device
from automcu.networks.cells.graph import architecture_graph
from automcu.networks.cells.skeleton import Architecture, Skeleton
from tests.quantised_networks import QuantisedNetwork, quantised_architecture

TINY = Skeleton(stem_channels=4, cells_per_stage=1, resolution=8)


@pytest.fixture(params=["portable", "dsp"])
def device(request: pytest.FixtureRequest) -> Device:
    isa = ("dsp",) if request.param == "dsp" else ()
    return find_device("stm32f407g-disc1").model_copy(update={"isa": isa})


def functions(program: Program) -> list[str]:
    return [program.kernels[operator.name].function for operator in program.graph.operators]


def test_an_estimate_and_the_real_export_become_the_same_program(
    quantised_networks: "list[QuantisedNetwork]", device: Device
) -> None:
    for network in quantised_networks:
        expected = compile_graph(architecture_graph(network.architecture), device)
        real = compile_graph(import_onnx(network.path), device)
        assert real.macs == expected.macs
        assert functions(real) == functions(expected), network.architecture
        assert real.arena.size == expected.arena.size
        assert real.weight_bytes == expected.weight_bytes


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param(
            "|nor_conv_3x3~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|",
            id="a lone convolution takes the last normalisation in",
        ),
        pytest.param(
            "|avg_pool_3x3~0|+|avg_pool_3x3~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|",
            id="two pools of one node are one",
        ),
        pytest.param(
            "|skip_connect~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|",
            id="a node that repeats another has its pools",
        ),
        pytest.param(
            "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|none~2|",
            id="one sum twice is computed once",
        ),
        pytest.param(
            "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|", id="cells that vanish"
        ),
    ],
)
def test_what_the_exporter_shares_is_costed_once(
    cell: str, device: Device, tmp_path_factory: pytest.TempPathFactory
) -> None:
    architecture = Architecture(cell=cell, skeleton=TINY)
    path = quantised_architecture(architecture, tmp_path_factory.mktemp("shared"))
    real = compile_graph(import_onnx(path), device)
    assert functions(real) == functions(compile_graph(architecture_graph(architecture), device))


def test_a_cell_without_a_path_has_no_graph() -> None:
    cell = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    with pytest.raises(WrongInputError, match="is not connected"):
        architecture_graph(Architecture(cell=cell, skeleton=TINY))

import copy
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from automcu.errors import WrongInputError
from automcu.networks.cells.cell import EDGES, all_cells
from automcu.networks.cells.skeleton import (
    Architecture,
    Skeleton,
    count_live_parameters,
    count_parameters,
)
from automcu.networks.cells.torch import build_benchmark_network, build_network

TINY = Skeleton(stem_channels=3, cells_per_stage=2, resolution=8, input_channels=1, classes=5)
EVERY_CONVOLUTION = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+" + (
    "|nor_conv_1x1~0|nor_conv_3x3~1|nor_conv_3x3~2|"
)
CONNECTED = [cell for cell in all_cells() if cell.is_connected]
indices = st.integers(min_value=0, max_value=len(CONNECTED) - 1)


def architecture(cell, skeleton=TINY):
    return Architecture(cell=str(cell), skeleton=skeleton)


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def with_random_normalisation(network):
    """Give batch normalisation statistics, scales and shifts, as training would."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
    return network.eval()


def benchmark_cell(cell, module, features):
    """Evaluate a cell as its definition says: every convolution edge has a ReLU of its own."""
    nodes = {0: features}
    for target in (1, 2, 3):
        nodes[target] = torch.zeros_like(features)
        for (source, end), operation in zip(EDGES, cell.edges, strict=True):
            if end != target or operation == "none":
                continue
            value = nodes[source]
            if operation == "avg_pool_3x3":
                value = functional.avg_pool2d(value, 3, 1, 1, count_include_pad=False)
            elif operation != "skip_connect":
                convolution, normalisation = module.edges[f"{source}_to_{target}"]
                kernel = convolution.weight
                value = functional.relu(value)
                value = functional.conv2d(value, kernel, padding=kernel.shape[-1] // 2)
                value = normalisation(value)
            nodes[target] = nodes[target] + value
    return nodes[3]


def benchmark_forward(cell, network, images):
    """Evaluate the whole network from its weights, layer by layer."""
    features = network.stem(images)
    for number, stage in enumerate(network.stages):
        if number:
            block = network.reductions[number - 1]
            _, first, norm_first, _, second, norm_second = block.convolutions
            inner = functional.conv2d(functional.relu(features), first.weight, None, 2, 1)
            inner = functional.relu(norm_first(inner))
            inner = norm_second(functional.conv2d(inner, second.weight, None, 1, 1))
            pooled = functional.avg_pool2d(features, 2, 2)
            features = functional.conv2d(pooled, block.shortcut[1].weight) + inner
        for module in stage:
            features = benchmark_cell(cell, module, features)
    features = functional.relu(network.last_activation[0](features)).mean((2, 3))
    return features @ network.classifier.weight.T + network.classifier.bias


@settings(max_examples=25, deadline=None)
@given(indices, st.integers(min_value=0, max_value=2**31))
def test_the_network_computes_what_the_benchmark_defines(index, seed):
    torch.manual_seed(seed)
    cell = CONNECTED[index].without_dead_edges()
    network = with_random_normalisation(build_network(architecture(cell))).double()
    images = torch.rand(2, 1, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        expected = benchmark_forward(cell, network, images)
        torch.testing.assert_close(network(images), expected, rtol=1e-9, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(indices)
def test_the_network_with_all_edges_computes_what_the_benchmark_defines(index):
    torch.manual_seed(index)
    cell = CONNECTED[index]
    network = with_random_normalisation(build_benchmark_network(architecture(cell))).double()
    images = torch.rand(2, 1, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        expected = benchmark_forward(cell, network, images)
        torch.testing.assert_close(network(images), expected, rtol=1e-9, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(indices)
def test_leaving_dead_edges_out_does_not_change_a_fresh_network(index):
    torch.manual_seed(index)
    full = build_benchmark_network(architecture(CONNECTED[index])).eval()
    bare = build_network(architecture(CONNECTED[index])).eval()
    weights = full.state_dict()
    bare.load_state_dict({name: weights[name] for name in bare.state_dict()})
    images = torch.rand(2, 1, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(bare(images), full(images))


@pytest.mark.parametrize("index", random.Random(1).sample(range(len(CONNECTED)), 12))
@pytest.mark.parametrize("skeleton", [Skeleton(), TINY], ids=["benchmark", "tiny"])
def test_a_built_network_has_as_many_parameters_as_were_counted(index, skeleton):
    design = architecture(CONNECTED[index], skeleton)
    assert parameters(build_benchmark_network(design)) == count_parameters(design)
    assert parameters(build_network(design)) == count_live_parameters(design)


@pytest.mark.parametrize("resolution", [1, 2, 3, 5, 7, 8, 9, 10, 15, 28, 33])
def test_odd_and_small_resolutions_work(resolution):
    skeleton = TINY.model_copy(update={"resolution": resolution})
    network = build_network(architecture(EVERY_CONVOLUTION, skeleton)).eval()
    assert network(torch.rand(2, 1, resolution, resolution)).shape == (2, 5)


def test_digits_pass_through_stages_of_8_4_and_2_pixels():
    network = build_network(architecture(EVERY_CONVOLUTION))
    seen = []
    for stage in network.stages:
        stage.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    network(torch.rand(2, 1, 8, 8))
    assert seen == [(2, 3, 8, 8), (2, 6, 4, 4), (2, 12, 2, 2)]


def test_pooling_at_an_odd_border_averages_only_pixels_that_exist():
    skeleton = TINY.model_copy(update={"resolution": 7})
    reduction = build_network(architecture(EVERY_CONVOLUTION, skeleton)).reductions[0]
    pooled = reduction.shortcut[0](torch.full((1, 3, 7, 7), 2.5))
    assert pooled.shape == (1, 3, 4, 4)
    assert torch.all(pooled == 2.5)


def test_a_cell_rectifies_each_node_once_however_many_convolutions_read_it():
    network = build_network(architecture(EVERY_CONVOLUTION))
    for stage in network.stages:
        for cell in stage:
            assert sum(isinstance(module, nn.ReLU) for module in cell.modules()) == 3


def test_a_node_that_repeats_another_shares_its_relu():
    cell = "|skip_connect~0|+|none~0|none~1|+|nor_conv_1x1~0|nor_conv_3x3~1|none~2|"
    module = build_network(architecture(cell)).stages[0][0]
    assert sum(isinstance(part, nn.ReLU) for part in module.modules()) == 1


def test_a_cell_without_convolutions_has_no_relu():
    cell = "|none~0|+|none~0|none~1|+|avg_pool_3x3~0|none~1|none~2|"
    module = build_network(architecture(cell)).stages[0][0]
    assert not any(isinstance(part, nn.ReLU) for part in module.modules())


@settings(max_examples=15, deadline=None)
@given(indices)
def test_every_weight_of_the_network_is_trained(index):
    network = build_network(architecture(CONNECTED[index])).train()
    network(torch.rand(4, 1, 8, 8)).square().sum().backward()
    untrained = [name for name, p in network.named_parameters() if p.grad is None]
    assert untrained == []


def test_the_input_is_not_changed_by_a_forward_pass():
    cell = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+" + (
        "|nor_conv_3x3~0|skip_connect~1|nor_conv_1x1~2|"
    )
    module = build_network(architecture(cell)).stages[0][0]
    features = torch.randn(2, 3, 8, 8)
    before = features.clone()
    module(features)
    assert torch.equal(features, before)


def test_equal_seeds_build_equal_networks():
    torch.manual_seed(7)
    first = build_network(architecture(EVERY_CONVOLUTION)).state_dict()
    torch.manual_seed(7)
    second = build_network(architecture(EVERY_CONVOLUTION)).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_network_can_be_copied_for_averaging_its_weights():
    network = build_network(architecture(EVERY_CONVOLUTION)).eval()
    images = torch.rand(2, 1, 8, 8)
    assert torch.equal(copy.deepcopy(network)(images), network(images))


def test_a_disconnected_cell_is_refused():
    cell = "|nor_conv_3x3~0|+|nor_conv_3x3~0|skip_connect~1|+|none~0|none~1|none~2|"
    with pytest.raises(WrongInputError, match="not connected"):
        build_network(architecture(cell))


def test_the_benchmarks_disconnected_networks_can_still_be_built_for_comparison():
    cell = "|nor_conv_3x3~0|+|nor_conv_3x3~0|skip_connect~1|+|none~0|none~1|none~2|"
    network = build_benchmark_network(architecture(cell)).eval()
    outputs = network(torch.rand(3, 1, 8, 8))
    assert torch.equal(outputs[0], outputs[1])


def test_a_misspelt_cell_is_refused():
    with pytest.raises(WrongInputError, match="is not a NAS-Bench-201 cell"):
        build_network(architecture("|conv~0|"))

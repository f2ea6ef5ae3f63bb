from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

from automcu.networks.cells.skeleton import Architecture, Skeleton
from automcu.networks.cells.torch import build_network

CELLS = {
    "residual": "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|",
    "many branches": "|nor_conv_1x1~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+"
    "|skip_connect~0|nor_conv_3x3~1|avg_pool_3x3~2|",
    "pool then convolution": "|avg_pool_3x3~0|+|none~0|nor_conv_3x3~1|+"
    "|avg_pool_3x3~0|none~1|skip_connect~2|",
    "pools only": "|avg_pool_3x3~0|+|none~0|avg_pool_3x3~1|+|none~0|skip_connect~1|avg_pool_3x3~2|",
}


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks on several threads mostly wait."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def randomise_batch_norms(network: nn.Module) -> nn.Module:
    """Give normalisations the means, variances, scales and biases that training would."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            nn.init.normal_(module.running_mean, std=0.3)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.2, 2.0)  # type: ignore[arg-type]
    return network.eval()


def _build(cell: str, resolution: int = 8, cells_per_stage: int = 1) -> nn.Module:
    torch.manual_seed(0)
    skeleton = Skeleton(
        stem_channels=4,
        cells_per_stage=cells_per_stage,
        resolution=resolution,
        input_channels=1,
        classes=10,
    )
    return randomise_batch_norms(build_network(Architecture(cell=CELLS[cell], skeleton=skeleton)))


@pytest.fixture
def build() -> Callable[..., nn.Module]:
    return _build


@pytest.fixture(params=list(CELLS))
def cell(request: pytest.FixtureRequest) -> str:
    return str(request.param)

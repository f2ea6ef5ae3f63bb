"""Parts whose profile was generated run on their virtual boards, as shipped boards do."""

import pytest

from automcu.calibration import observe
from automcu.mcu import find_part, profile_of, shipped_devices
from automcu.networks.cells.graph import architecture_graph
from automcu.networks.cells.skeleton import Architecture, Skeleton

CELL = "|nor_conv_1x1~0|+|none~0|none~1|+|none~0|skip_connect~1|none~2|"
TINY = Architecture(cell=CELL, skeleton=Skeleton(stem_channels=4, cells_per_stage=1, resolution=8))


@pytest.mark.parametrize(
    "part", ["STM32F429ZIT6", "STM32F722ZET6", "STM32L476RGT6", "STM32H733VGT6", "STM32U585AII6"]
)
def test_firmware_for_a_generated_part_answers_as_the_reference_does(part: str) -> None:
    device = profile_of(find_part(part), list(shipped_devices().values()))
    # observe() refuses outputs that differ from the integer reference.
    seen = observe(architecture_graph(TINY), device, "virtual", seed=0)
    assert all(layer.cycles > 0 for layer in seen.cycles)
    assert seen.source == "virtual"

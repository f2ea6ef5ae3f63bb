"""Calibration against a virtual board, and where its figures go."""

from pathlib import Path

import pytest

from automcu.calibration import (
    HELD_OUT,
    Calibration,
    calibrate,
    calibration_graphs,
    chain,
    random_architectures,
)
from automcu.calibration.calibrate import scaled
from automcu.compiler import compile_graph
from automcu.compiler.compile import is_fitted, layer_cycles
from automcu.cost.latency import Observation
from automcu.mcu import Device, find_device
from automcu.mcu.find import fitted_path, save_figures, user_folder
from automcu.records import resource_folder

ID = "stm32f407g-disc1"


@pytest.fixture(scope="module")
def wrong_device() -> Device:
    """A profile whose figures are three times too high."""
    device = find_device(ID)
    latency = tuple(
        one.model_copy(
            update={"coefficients": {name: 3 * c for name, c in one.coefficients.items()}}
        )
        for one in device.latency
    )
    return device.model_copy(update={"latency": latency})


@pytest.fixture(scope="module")
def calibration(wrong_device: Device) -> Calibration:
    return calibrate(wrong_device, "virtual", chains=2, networks=1)


def test_calibrating_brings_wrong_figures_near_the_board(calibration: Calibration) -> None:
    assert calibration.before is not None
    assert calibration.before.median_percent > 100
    assert calibration.after.median_percent < calibration.before.median_percent / 4
    transformers = 1
    assert calibration.networks == 2 + transformers + 1 + HELD_OUT


def test_figures_of_a_kind_of_work_are_scaled_together() -> None:
    device = find_device(ID)
    known = dict(device.latency[0].coefficients)
    board = {name: (1.6 if name.startswith("block/") else 0.8) * v for name, v in known.items()}
    kernels = [
        kernel
        for seed in range(4)
        for kernel in compile_graph(chain(seed), device).kernels.values()
        if is_fitted(kernel, known)
    ]
    layers = [Observation(one, layer_cycles(one, board)) for one in kernels]
    found = scaled(known, layers).coefficients

    def off(figures: dict[str, float]) -> float:
        return max(abs(layer_cycles(one.kernel, figures) / one.cycles - 1) for one in layers)

    assert off(known) > 0.2
    assert off(found) < 0.05
    factors = {round(found[name] / v, 6) for name, v in known.items() if v and "block/" in name}
    assert len(factors) == 1


def test_figures_from_a_virtual_board_are_never_called_measured(calibration: Calibration) -> None:
    assert calibration.latency.source == "virtual"


def test_kernels_that_were_not_run_keep_their_figures(
    calibration: Calibration, wrong_device: Device
) -> None:
    (before,) = [
        one for one in wrong_device.latency if one.compiler == calibration.latency.compiler
    ]
    assert set(before.coefficients) <= set(calibration.latency.coefficients)


def test_the_users_folder_gets_the_figures_and_the_shipped_ones_stay(
    calibration: Calibration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOMCU_PROFILES", str(tmp_path))
    shipped = fitted_path(resource_folder("hw_profiles"), ID)
    text = shipped.read_text()
    path = save_figures(user_folder(), ID, calibration.latency)
    assert path == fitted_path(tmp_path, ID)
    assert shipped.read_text() == text
    known = {one.compiler: one for one in find_device(ID).latency}
    assert set(known) == {"gcc", "zig"}
    fitted = known[calibration.latency.compiler]
    assert fitted.date == calibration.latency.date
    assert fitted.residual_percent == calibration.latency.residual_percent
    assert fitted.network_percent == round(calibration.after.worst_percent, 1)


def test_equal_seeds_give_equal_networks() -> None:
    assert random_architectures(7, seed=3) == random_architectures(7, seed=3)
    assert random_architectures(7, seed=3) != random_architectures(7, seed=4)
    transformers = 1
    assert len(calibration_graphs(2, 1)) == 2 + transformers + 1 + HELD_OUT

"""`automcu check` says what would fit instead."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from automcu.cli.app import app

CELL = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|nor_conv_1x1~1|none~2|"
SMALL = ("--stem", "8", "--cells", "2", "--resolution", "16")


def test_a_cell_that_is_too_slow_brings_remedies_with_figures() -> None:
    arguments = ("check", CELL, "--device", "stm32f407g-disc1", *SMALL, "--max-latency-ms", "10")
    result = CliRunner().invoke(app, [*arguments, "--json"])
    document = json.loads(result.stdout)
    assert result.exit_code == 1
    assert document["limits"][0]["limit"] == "latency"
    assert all(one["latency_ms"] <= 10 for one in document["remedies"])
    first = document["remedies"][0]
    assert first["change"] == "stem of 6 channels"
    assert f"{first['latency_ms']:.3g} ms" in result.stderr


def test_a_cell_that_takes_too_much_energy_brings_remedies_that_take_less() -> None:
    arguments = ("check", CELL, "--device", "stm32f407g-disc1", *SMALL)
    needed = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    allowed = needed["energy_millijoule"] * 0.7
    result = CliRunner().invoke(app, [*arguments, "--max-energy", f"{allowed} mJ", "--json"])
    document = json.loads(result.stdout)
    assert result.exit_code == 1
    (limit,) = document["limits"]
    assert (limit["limit"], limit["available"]) == ("energy", pytest.approx(allowed))
    assert limit["needed"] == pytest.approx(needed["energy_millijoule"])
    assert all(0 < one["energy_millijoule"] <= allowed for one in document["remedies"])
    said = " ".join(result.stderr.split())
    assert "of energy," in said and "(modelled)" in said
    assert f"({document['remedies'][0]['energy_millijoule']:.3g} mJ)" in said


def test_an_energy_that_is_no_energy_is_refused() -> None:
    arguments = ("check", CELL, "--device", "stm32f407g-disc1", *SMALL, "--max-energy", "2 mW")
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "max_energy is '2 mW'" in result.stderr


def test_a_latency_is_printed_with_its_error_bar() -> None:
    arguments = ("check", CELL, "--device", "stm32f407g-disc1", *SMALL)
    document = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    percent = document["latency_percent"]
    assert 0 < percent < 20
    printed = " ".join(CliRunner().invoke(app, arguments).stdout.split())
    assert f" ms ± {percent:.1f} %" in printed


def test_a_model_file_that_is_too_large_brings_fewer_bits_which_then_fit() -> None:
    data = Path(os.environ.get("AUTOMCU_DATA", "../shared/data")) / "mlperf_tiny"
    model = data / "pretrainedResnet_quant.tflite"
    if not model.is_file():
        pytest.skip("the MLPerf Tiny models are not here: point AUTOMCU_DATA at them")
    arguments = ("check", str(model), "--device", "stm32f407g-disc1", "--max-flash", "70 KB")
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 1
    remedies = json.loads(result.stdout)["remedies"]
    assert remedies[0]["change"] == "weights of 4 bits"
    reduced = CliRunner().invoke(app, [*arguments, "--weights", "4", "--json"])
    assert reduced.exit_code == 0
    assert json.loads(reduced.stdout)["flash_bytes"] == remedies[0]["flash_bytes"]


def test_a_transformer_is_checked_by_its_shape_alone() -> None:
    shape = "vit:patch=4,dim=32,depth=1,heads=2,mlp_ratio=2"
    arguments = ("check", shape, "--device", "nucleo-l4r5zi", "--resolution", "16", "--json")
    result = CliRunner().invoke(app, arguments)
    document = json.loads(result.stdout)
    assert result.exit_code == 0 and document["fits"]
    operators = [layer["op"] for layer in document["layers"]]
    assert sum(one.startswith("attention") for one in operators) == 1
    assert sum(one.startswith("ternary") for one in operators) == 6
    tight = CliRunner().invoke(app, [*arguments, "--max-flash", "1 KB"])
    assert tight.exit_code == 1
    assert json.loads(tight.stdout)["limits"][0]["limit"] == "flash"


def test_an_impossible_transformer_is_refused_in_a_sentence() -> None:
    result = CliRunner().invoke(app, ["check", "vit:patch=5", "--device", "nucleo-l4r5zi"])
    assert result.exit_code == 2
    assert "32 pixels are no whole patches of 5" in result.stderr


def test_a_ternary_cell_takes_less_flash() -> None:
    arguments = ["check", CELL, "--device", "nucleo-l4r5zi", *SMALL, "--json"]
    plain, ternary = (
        json.loads(CliRunner().invoke(app, [*arguments, *more]).stdout)
        for more in ((), ("--weights", "ternary"))
    )
    assert ternary["flash_bytes"] < plain["flash_bytes"]
    assert ternary["macs"] == plain["macs"]

"""The findings of a run that never was, in shapes that real ones have."""

from pathlib import Path

import pytest

from automcu.boards.records import Identity, LatencySpread, LayerCycles, Measurement
from automcu.brief import Brief
from automcu.cost.records import Estimate, LayerCost
from automcu.mcu import load_profile
from automcu.mcu.profile import Device
from automcu.networks.cells.cell import Cell
from automcu.networks.cells.skeleton import Architecture, Skeleton
from automcu.records import resource_folder
from automcu.report.record import (
    AccuracyFinding,
    ArenaTensor,
    CandidateFinding,
    Findings,
    SkeletonFinding,
    SpaceFinding,
)
from automcu.toolchains.build import Build

LAYERS = 24
SKELETON = Skeleton(stem_channels=16, cells_per_stage=1, resolution=8, input_channels=1, classes=10)


def _device() -> Device:
    return load_profile(resource_folder("hw_profiles") / "stm32f407g-disc1.toml")


def _cycles(layer: int) -> int:
    return 40_000 + 9_000 * (layer * 7 % 11)


def _candidate(rank: int, chosen: bool) -> CandidateFinding:
    return CandidateFinding(
        rank=rank,
        architecture=Architecture(cell=str(Cell.from_index(1000 * rank)), skeleton=SKELETON),
        cell_index=1000 * rank,
        prior=93.0 + rank / 3,
        macs=900_000 * rank,
        parameters=40_000,
        latency_ms=5.3 * rank,
        flash_bytes=70_000 + 20_000 * rank,
        ram_bytes=14_000,
        float_accuracy=0.98 + rank / 1000,
        int8_accuracy=0.978 + rank / 1000,
        training_seconds=14.2,
        chosen=chosen,
    )


def _estimate() -> Estimate:
    layers = tuple(
        LayerCost(
            name=f"stage{layer // 8}.cell0.edge{layer % 8}",
            op="convolution",
            variant="c99",
            macs=10_000,
            cycles=_cycles(layer) + 1000,
            weight_bytes=2304,
            output_shape=(8, 8, 16),
        )
        for layer in range(LAYERS)
    )
    return Estimate(
        device="stm32f407g-disc1",
        flash_bytes=111_000,
        weight_bytes=80_000,
        code_bytes=31_000,
        ram_bytes=14_100,
        arena_bytes=9216,
        stack_bytes=4096,
        cycles=sum(layer.cycles for layer in layers),
        latency_ms=sum(layer.cycles for layer in layers) / 168e3,
        energy_millijoule=1.7,
        macs=2_700_000,
        layers=layers,
    )


def _measurement() -> Measurement:
    total = sum(_cycles(layer) for layer in range(LAYERS))
    return Measurement(
        board="virtual",
        device="stm32f407g-disc1",
        identity=Identity(
            protocol_version=1,
            board="stm32f407g-disc1",
            model_hash="0123456789abcdef",
            compiler="gcc 12.2",
            clock_hz=168_000_000,
            arena_bytes=9216,
            flash_bytes=110_500,
            input_bytes=64,
            output_bytes=10,
            layer_count=LAYERS,
        ),
        latency_ms=LatencySpread(min=total / 168e3, median=total / 168e3, p95=total / 168e3),
        latency_source="modelled",
        cycles=total,
        layers=tuple(
            LayerCycles(name=f"stage{layer // 8}.cell0.edge{layer % 8}", cycles=_cycles(layer))
            for layer in range(LAYERS)
        ),
        accuracy=0.9833,
        inputs=360,
        mismatches=0,
        stack_bytes=412,
        arena_bytes=9216,
        date="2026-01-01T12:00:00+00:00",
    )


@pytest.fixture
def findings() -> Findings:
    return Findings(
        version="0.1.0",
        date="2026-01-01",
        brief=Brief(
            text="Recognise hand-written digits on an STM32F407 <b>, under 20 ms & 64 KB of RAM",
            device="stm32f407g-disc1",
            dataset="digits",
            max_latency_ms=20.0,
            max_ram_bytes=65536,
            unused=(),
        ),
        device=_device(),
        space=SpaceFinding(
            space=93_750,
            feasible=41_234,
            trained=3,
            prior="AnalogNAS-Bench, CIFAR-10, float",
            surveyed=(SkeletonFinding(skeleton=SKELETON, cells=15_625, feasible=9000),),
            ruled_out=11,
            unexplored=19,
            seconds=14.3,
        ),
        candidates=tuple(_candidate(rank, chosen=rank == 3) for rank in (1, 2, 3)),
        accuracy=AccuracyFinding(
            float_=0.9861,
            onnx=0.9833,
            host=0.9833,
            host_inputs=360,
            board=0.9833,
            board_inputs=360,
            board_mismatches=0,
        ),
        estimate=_estimate(),
        build=Build(
            device="stm32f407g-disc1",
            elf="build/firmware.elf",
            image="build/firmware.bin",
            compiler="arm-none-eabi-gcc 12.2.1",
            sections={".text": 110_000, ".bss": 13_000},
            flash_bytes=110_500,
            ram_bytes=14_000,
            arena_bytes=9216,
            weight_bytes=80_000,
        ),
        measurement=_measurement(),
        arena=tuple(
            ArenaTensor(
                tensor=f"cell0.node{step}",
                offset=(step % 3) * 3072,
                bytes=3072,
                first_step=step,
                last_step=min(step + 2, LAYERS - 1),
            )
            for step in range(LAYERS)
        ),
        missed=(),
        seconds={"survey": 14.3, "training": 43.0, "build": 6.0},
    )


@pytest.fixture
def page_path(tmp_path: Path) -> Path:
    return tmp_path / "report.html"

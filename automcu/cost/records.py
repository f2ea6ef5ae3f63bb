"""What a network costs on a device, and whether that fits."""

from typing import Literal

from automcu.records import Record


class LayerCost(Record):
    """One layer of the compiled program: modelled cycles on the device's core, flash wait states included."""

    name: str
    op: str
    variant: str
    macs: int
    cycles: int
    weight_bytes: int
    output_shape: tuple[int, ...]


class Estimate(Record):
    """Cost of one inference and of the firmware around it; modelled, before anything is built.

    `flash_bytes` is all of the image (weights, code, start-up and runtime); `ram_bytes` the
    arena, the stack and the runtime's own data; `energy_millijoule` is an estimate from the
    profile's active current.
    """

    device: str
    flash_bytes: int
    weight_bytes: int
    code_bytes: int
    ram_bytes: int
    arena_bytes: int
    stack_bytes: int
    cycles: int
    latency_ms: float
    energy_millijoule: float
    macs: int
    layers: tuple[LayerCost, ...]


class Limit(Record):
    """A limit that is broken: how much is needed, how much there is, at which layer, what would help."""

    limit: Literal["flash", "ram", "latency"]
    needed: float
    available: float
    layer: str | None = None
    help: str | None = None


class Verdict(Record):
    """Whether an estimate satisfies the device and the brief; `limits` holds those that it breaks."""

    device: str
    fits: bool
    limits: tuple[Limit, ...]
    estimate: Estimate

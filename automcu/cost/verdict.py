"""Whether an estimate keeps to the device's and the brief's limits, and what breaks them."""

from automcu.cost.records import Estimate, LayerCost, Limit, Verdict
from automcu.devices.profile import Device


def check(
    estimate: Estimate,
    device: Device,
    max_latency_ms: float | None = None,
    max_ram_bytes: int | None = None,
    max_flash_bytes: int | None = None,
) -> Verdict:
    """Compare an estimate with the device and with the limits that are given.

    RAM counts twice: all of it against the limit, and the arena alone against the one region
    that must hold it.
    """
    limits: list[Limit] = []
    flash = _smaller(device.flash_bytes, max_flash_bytes)
    if estimate.flash_bytes > flash:
        heaviest = max(estimate.layers, key=lambda layer: layer.weight_bytes)
        limits.append(_limit("flash", estimate.flash_bytes, flash, heaviest, "fewer channels"))
    ram = _smaller(device.ram_bytes, max_ram_bytes)
    region = device.region_for("arena").size
    if estimate.ram_bytes > ram:
        limits.append(_limit("ram", estimate.ram_bytes, ram, _largest(estimate), _LESS_RAM))
    elif estimate.arena_bytes > region:
        limits.append(_limit("ram", estimate.arena_bytes, region, _largest(estimate), _LESS_RAM))
    if max_latency_ms is not None and estimate.latency_ms > max_latency_ms:
        slowest = max(estimate.layers, key=lambda layer: layer.cycles)
        limits.append(
            _limit("latency", estimate.latency_ms, max_latency_ms, slowest, "fewer or 1x1 layers")
        )
    return Verdict(device=device.id, fits=not limits, limits=tuple(limits), estimate=estimate)


_LESS_RAM = "a lower resolution or fewer channels"


def _smaller(available: int, limit: int | None) -> int:
    return available if limit is None else min(available, limit)


def _largest(estimate: Estimate) -> LayerCost:
    def size(layer: LayerCost) -> int:
        height, width, channels = layer.output_shape
        return height * width * channels

    return max(estimate.layers, key=size)


def _limit(name: str, needed: float, available: float, layer: LayerCost, remedy: str) -> Limit:
    return Limit.model_validate(
        {
            "limit": name,
            "needed": needed,
            "available": available,
            "layer": layer.name,
            "help": f"{remedy} (most of it is in {layer.name}), or a larger board",
        }
    )

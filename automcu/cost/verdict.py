"""Whether an estimate keeps to the device's and the brief's limits, and what breaks them."""

from automcu.brief import NO_LIMITS, Limits
from automcu.cost.records import Estimate, LayerCost, Limit, Verdict
from automcu.mcu.profile import Device


def check(
    estimate: Estimate,
    device: Device,
    limits: Limits = NO_LIMITS,
) -> Verdict:
    """Compare an estimate with the device and with the limits that are given.

    RAM counts twice: all of it against the limit, and the arena alone against the one region
    that must hold it.
    """
    broken: list[Limit] = []
    flash = _smaller(device.flash_bytes, limits.flash_bytes)
    if estimate.flash_bytes > flash:
        heaviest = max(estimate.layers, key=lambda layer: layer.weight_bytes)
        known = estimate.flash_bytes - estimate.guesses.code_bytes
        broken.append(
            _limit("flash", estimate.flash_bytes, flash, heaviest, "fewer channels", known > flash)
        )
    ram = _smaller(device.ram_bytes, limits.ram_bytes)
    region = device.region_for("arena").size
    if estimate.ram_bytes > ram:
        broken.append(_limit("ram", estimate.ram_bytes, ram, _largest(estimate), _LESS_RAM))
    elif estimate.arena_bytes > region:
        broken.append(_limit("ram", estimate.arena_bytes, region, _largest(estimate), _LESS_RAM))
    per_inference = (
        ("latency", estimate.latency_ms, limits.latency_ms),
        ("energy", estimate.energy_millijoule, limits.energy_mj),
    )
    for name, needed, available in per_inference:
        if available is not None and needed > available:
            slowest = max(estimate.layers, key=lambda layer: layer.cycles)
            known_share = 1 - estimate.guesses.cycles / max(1, estimate.cycles)
            certain = needed * known_share > available
            broken.append(_limit(name, needed, available, slowest, "fewer or 1x1 layers", certain))
    return Verdict(device=device.id, fits=not broken, limits=tuple(broken), estimate=estimate)


_LESS_RAM = "a lower resolution or fewer channels"


def _smaller(available: int, limit: int | None) -> int:
    return available if limit is None else min(available, limit)


def _largest(estimate: Estimate) -> LayerCost:
    def size(layer: LayerCost) -> int:
        height, width, channels = layer.output_shape
        return height * width * channels

    return max(estimate.layers, key=size)


def _limit(
    name: str,
    needed: float,
    available: float,
    layer: LayerCost,
    remedy: str,
    certain: bool = True,
) -> Limit:
    return Limit.model_validate(
        {
            "limit": name,
            "needed": needed,
            "available": available,
            "layer": layer.name,
            "help": f"{remedy} (most of it is in {layer.name}), or a larger board",
            "certain": certain,
        }
    )


def miss(limit: Limit) -> str:
    """Say by how much a network misses a limit."""
    over = limit.needed - limit.available
    if limit.limit == "latency":
        return (
            f"the latency limit by {over:.3g} ms (it takes {limit.needed:.3g} ms, "
            f"allowed are {limit.available:.3g})"
        )
    if limit.limit == "energy":
        return (
            f"the energy limit by {over:.3g} mJ (it takes {limit.needed:.3g} mJ, modelled; "
            f"allowed are {limit.available:.3g})"
        )
    return (
        f"the {limit.limit} limit by {over:,.0f} bytes (it needs {limit.needed:,.0f}, "
        f"allowed are {limit.available:,.0f})"
    )

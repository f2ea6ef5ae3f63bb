"""A board as a frozen record: the schema of `hw_profiles/*.toml`.

Sizes are bytes, clocks hertz, currents milliampere. Every figure names its datasheet or
reference manual in `sources`.
"""

from typing import Literal

from automcu.errors import WrongInputError
from automcu.records import Record

FlashingMethod = Literal["usart-bootloader", "swd", "mass-storage", "esptool"]


class MemoryRegion(Record):
    """One stretch of the address space and what the firmware may put there."""

    name: str
    kind: Literal["flash", "ram", "psram"]
    address: int
    size: int
    holds: tuple[Literal["code", "weights", "data", "stack", "arena"], ...]


class FlashTiming(Record):
    """Wait states at the profile's clock, and the cache or accelerator in front of the flash.

    Lines are `line_bytes` long; a cache for code and data counts fully on both sides.
    """

    wait_states: int
    line_bytes: int
    instruction_lines: int
    data_lines: int


class Oscillator(Record):
    """What the core clock is made from: the part's own oscillator, a crystal, or a clock signal."""

    source: Literal["internal", "crystal", "signal"]
    hz: int


class SerialPort(Record):
    """The line that the firmware answers on; the boot loader's own if the board has it wired.

    `address` is the base address of the peripheral's registers.
    """

    peripheral: str
    address: int
    transmit_pin: str
    receive_pin: str
    alternate_function: int
    baud_rate: int


class UsbId(Record):
    """A USB vendor and product id under which the board's probe or bridge appears."""

    vendor: int
    product: int


class SectorRun(Record):
    """Flash sectors of one size, one after the other."""

    count: int
    bytes: int


class Flashing(Record):
    """How an image gets onto the board, the preferred way first.

    `bootloader_device_id` is what the ROM boot loader answers to GetID, `bootloader_address`
    where its vector table is. `flash_sectors` are what can be erased, from the flash's start.
    """

    methods: tuple[FlashingMethod, ...]
    bootloader_device_id: int | None = None
    bootloader_address: int | None = None
    flash_sectors: tuple[SectorRun, ...] = ()

    @property
    def flash_sector_bytes(self) -> tuple[int, ...]:
        """The size of each erasable sector in bytes, by sector number."""
        return tuple(run.bytes for run in self.flash_sectors for _ in range(run.count))


class Latency(Record):
    """Cycles of the kernels that one compiler makes: linear in the work of a layer.

    `coefficients` are cycles per unit of work, by "kernel category/unit"; `residual_percent` is
    the largest error among the layers that they were fitted to. `network_percent` is the largest
    among whole networks that were kept out of the fit, the error bar of estimates; None: unknown.
    It is wider by `network_cycles`: in networks of few cycles calls weigh as much as work.
    """

    source: Literal["virtual", "measured"]
    date: str
    compiler: Literal["gcc", "zig"]
    compiler_version: str
    residual_percent: float
    network_percent: float | None = None
    network_cycles: int = 0
    coefficients: dict[str, float]

    def error_percent(self, cycles: int) -> float | None:
        """The error bar of a network that is estimated to take so many cycles; None: unknown."""
        if self.network_percent is None:
            return None
        return round(self.network_percent + 100 * self.network_cycles / max(cycles, 1), 1)


class FittedFigures(Record):
    """What is fitted for one board, one table for each compiler; a file beside the profiles."""

    latency: tuple[Latency, ...]


class Power(Record):
    """Supply current while computing, for the energy estimate."""

    active_milliampere: float
    supply_volt: float

    @property
    def watt(self) -> float:
        """Power while computing."""
        return self.active_milliampere * 1e-3 * self.supply_volt


class Device(Record):
    """A board that automcu can plan for; see docs/profiles.md for the meaning of every key."""

    id: str
    name: str
    mcu: str
    aliases: tuple[str, ...]
    core: str
    clock_hz: int
    isa: tuple[Literal["dsp", "fpu", "pie"], ...]
    family: str
    oscillator: Oscillator
    memory: tuple[MemoryRegion, ...]
    flash_timing: FlashTiming
    serial: SerialPort
    usb: tuple[UsbId, ...]
    flashing: Flashing
    power: Power
    latency: tuple[Latency, ...] = ()
    sources: dict[str, str]

    def energy_millijoule(self, milliseconds: float) -> float:
        """Energy of that much computing in millijoule; modelled, without peripherals and sleep."""
        return milliseconds * self.power.watt

    @property
    def flash_bytes(self) -> int:
        """Flash that code and weights may use, in bytes."""
        return sum(region.size for region in self.memory if region.kind == "flash")

    @property
    def ram_bytes(self) -> int:
        """Internal RAM of all regions but those for code alone, in bytes."""
        return sum(
            region.size
            for region in self.memory
            if region.kind == "ram" and region.holds != ("code",)
        )

    @property
    def weights_in_ram(self) -> bool:
        """Whether an image is copied to RAM, weights included, before it runs."""
        return self.region_for("weights").kind == "ram"

    def region_for(self, use: str) -> MemoryRegion:
        """Return the largest region that may hold `use`: code, weights, data, stack or arena."""
        return max((r for r in self.memory if use in r.holds), key=lambda region: region.size)


def code_flash(device: Device) -> MemoryRegion:
    """The flash that a Cortex-M starts from: the first region that holds code."""
    regions = [r for r in device.memory if r.kind == "flash" and "code" in r.holds]
    if not regions:
        raise WrongInputError(
            f"The profile of {device.id} has no flash for code. Add one under [[memory]]."
        )
    return min(regions, key=lambda region: region.address)

"""`automcu devices`: the boards that automcu knows, and profiles for more of them."""

from typing import Annotated

import typer
from rich.table import Column

from automcu.cli.answer import Answer, Debug, Json, number, pairs, respond, table
from automcu.errors import WrongInputError
from automcu.mcu import (
    Device,
    all_devices,
    find_device,
    find_part,
    profile_of,
    shipped_devices,
    user_folder,
    write_profile,
)
from automcu.mcu.profile import Latency
from automcu.report.wording import error_bar


def devices(
    device: Annotated[
        str | None, typer.Argument(metavar="[ID|new]", help="Show one board; new: add a part's.")
    ] = None,
    part: Annotated[
        str | None, typer.Argument(metavar="[PART]", help="Part number, as in STM32F429ZIT6.")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """List the boards it knows, show one in full, or write a profile for a part: new PART."""

    def command() -> Answer:
        if part is not None and device != "new":
            raise WrongInputError(
                f"{part!r} is one name too many. Show a board with `automcu devices ID`, "
                "add a part with `automcu devices new PART`."
            )
        if device == "new":
            return _new(part)
        return _one(device) if device else _all()

    respond(command, json, debug)


def _new(number: str | None) -> Answer:
    """Write the profile of a bare part into the user's folder; one that is there stays."""
    if not number:
        raise WrongInputError("Which part? Give its full number: automcu devices new STM32F429ZIT6")
    device = profile_of(find_part(number), list(shipped_devices().values()))
    path = user_folder() / f"{device.id}.toml"
    if path.exists():
        raise WrongInputError(f"{path} is there already. Edit it, or delete it to write it anew.")
    comment = (
        f"{device.mcu} as a bare part, written by `automcu devices new`: its own oscillator, and\n"
        "USART1 on its first pins. Adapt both to the board. [sources] says where figures are from."
    )
    write_profile(device, path.parent, comment)
    notes = f"latency: {device.sources['latency']}"
    document = {**_summary(device), "path": str(path), "sources": device.sources}
    return Answer(document, f"{path} written. Use it as --device {device.id}.\n{notes}")


def _all() -> Answer:
    known = list(all_devices().values())
    headings = [Column(heading, no_wrap=True) for heading in ("id", "MCU", "core")]
    headings += map(number, ("MHz", "RAM KB", "flash KB"))
    headings += [Column(heading, no_wrap=True) for heading in ("flashed by", "latency")]
    rows = (
        (
            *(one.id, one.mcu, one.core, f"{one.clock_hz / 1e6:g}"),
            f"{one.ram_bytes / 1024:g}",
            f"{one.flash_bytes / 1024:g}",
            one.flashing.methods[0] if one.flashing.methods else "–",
            _figures(one),
        )
        for one in known
    )
    shown = table(headings, rows, collapse_padding=True, pad_edge=False)
    return Answer({"devices": [_summary(one) for one in known]}, shown)


def _summary(device: Device) -> dict[str, object]:
    return {
        "id": device.id,
        "name": device.name,
        "mcu": device.mcu,
        "core": device.core,
        "clock_hz": device.clock_hz,
        "ram_bytes": device.ram_bytes,
        "flash_bytes": device.flash_bytes,
        "aliases": list(device.aliases),
        "flashing": list(device.flashing.methods),
        "latency": [
            one.model_dump(
                include={"source", "date", "compiler", "network_percent", "network_cycles"}
            )
            for one in device.latency
        ],
    }


def _figures(device: Device) -> str:
    """Where the latency figures come from, in a word or two."""
    return ", ".join(sorted({one.source for one in device.latency})) or "none"


def _one(name: str) -> Answer:
    device = find_device(name)
    serial = device.serial
    rows = [
        ("id", device.id),
        ("board", device.name),
        ("MCU", f"{device.mcu}, {device.core} at {device.clock_hz / 1e6:g} MHz"),
        ("also called", ", ".join(device.aliases)),
        ("instructions", ", ".join(device.isa) or "base set"),
        *(
            (
                f"memory {region.name}",
                f"{region.size / 1024:g} KB of {region.kind} at 0x{region.address:08X}, "
                f"holds {', '.join(region.holds)}",
            )
            for region in device.memory
        ),
        ("flash", f"{device.flash_timing.wait_states} wait states"),
        (
            "serial",
            f"{serial.peripheral}, TX {serial.transmit_pin}, RX {serial.receive_pin}, "
            f"{serial.baud_rate} baud",
        ),
        ("flashing", ", ".join(device.flashing.methods)),
        ("latency", _latency(device)),
        *((f"source: {what}", where) for what, where in device.sources.items()),
    ]
    return Answer(device.model_dump(mode="json"), pairs(rows))


def _latency(device: Device) -> str:
    if not device.latency:
        return "no figures yet: it can be listed, but not designed for"
    return "; ".join(
        f"{one.source}, {one.date}, {one.compiler}{_error_bar(one)}" for one in device.latency
    )


def _error_bar(figures: Latency) -> str:
    """Both parts of it, where they are known."""
    bar = error_bar(figures.network_percent)
    return f"{bar} and {figures.network_cycles:,} cycles" if bar and figures.network_cycles else bar

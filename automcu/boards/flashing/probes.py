"""Which debug probe a serial port belongs to: both have the same USB serial number."""

from serial.tools import list_ports


def is_network_url(url: str) -> bool:
    """Whether the port is not one of this machine's devices."""
    return "://" in url


def serial_number_of(url: str) -> str | None:
    """The USB serial number of the port's device; None when it has none, or there is no port."""
    for port in list_ports.comports():
        if port.device == url:
            return port.serial_number
    return None

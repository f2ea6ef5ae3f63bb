import pytest

from automcu.mcu import Device, find_device


@pytest.fixture(scope="session")
def portable_device() -> Device:
    """A board without instruction set extensions: every kernel is portable C."""
    return find_device("stm32f407g-disc1").model_copy(update={"isa": ()})

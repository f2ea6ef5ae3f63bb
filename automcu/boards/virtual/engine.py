"""Unicorn, set up as a device's core in a device's memory."""

from unicorn import UC_ARCH_ARM, UC_MODE_MCLASS, UC_MODE_THUMB, Uc
from unicorn.arm_const import (
    UC_CPU_ARM_CORTEX_M4,
    UC_CPU_ARM_CORTEX_M7,
    UC_CPU_ARM_CORTEX_M33,
)

from automcu.boards.virtual.memory import BoardMemory
from automcu.errors import BoardError
from automcu.mcu.profile import Device

_MODELS = {
    "cortex-m4": UC_CPU_ARM_CORTEX_M4,
    "cortex-m7": UC_CPU_ARM_CORTEX_M7,
    "cortex-m33": UC_CPU_ARM_CORTEX_M33,
}


def new_engine(device: Device, memory: BoardMemory) -> Uc:
    """An engine just out of reset, with the board's memory and nothing else.

    Its FPU is on from the start: unlike silicon, it does not fault where a program forgot CPACR.

    Raises:
        BoardError: there is no such core in Unicorn.
    """
    check_core(device)
    engine = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
    engine.ctl_set_cpu_model(_MODELS[device.core])
    memory.map_into(engine)
    return engine


def check_core(device: Device) -> None:
    """See that Unicorn has the device's core.

    Raises:
        BoardError: it has not.
    """
    if device.core not in _MODELS:
        raise BoardError(
            f"There is no virtual board for {device.name} ({device.core}). "
            "Use a real one with --board PORT, or a device with a Cortex-M4, M7 or M33."
        )

"""Which accounting a board uses: the one in C where it can be compiled, else the one in Python."""

import os

from unicorn import Uc

from automcu.boards.timing.accounting import Accounting, PythonAccounting
from automcu.boards.timing.blocks import BlockTimer
from automcu.boards.timing.flash import flash_model
from automcu.boards.timing.native import NativeAccounting
from automcu.boards.timing.native_library import native_library
from automcu.errors import ToolError, WrongInputError
from automcu.mcu.profile import Device

FORCE_VARIABLE = "AUTOMCU_ACCOUNTING"


def new_accounting(engine: Uc, device: Device) -> Accounting:
    """A fresh accounting of what `engine` runs, with empty caches.

    The environment variable AUTOMCU_ACCOUNTING=native|python forces one; both count the same.

    Raises:
        ToolError: native is forced and does not compile here.
        WrongInputError: there are no timing rules for the device's core.
    """
    flash = flash_model(device)
    timer = BlockTimer(lambda a, n: bytes(engine.mem_read(a, n)), device.core, flash)
    forced = os.environ.get(FORCE_VARIABLE, "")
    if forced not in ("", "native", "python"):
        raise WrongInputError(
            f"{FORCE_VARIABLE} is {forced!r}. Set it to native or python, or unset it."
        )
    library = None if forced == "python" else native_library()
    if library is not None:
        return NativeAccounting(library, timer, flash)
    if forced == "native":
        raise ToolError(
            "The timing model in C could not be compiled. Install a C compiler, "
            f"or unset {FORCE_VARIABLE}."
        )
    return PythonAccounting(timer, flash)

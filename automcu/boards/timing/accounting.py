"""Adding up cycles while Unicorn runs: in C, so that Python is called only for new blocks.

The unit is the basic block: its whole cost is added when it is entered, and the penalty of its last
instruction when the next block turns out not to be the one behind it. Where execution is stopped
inside a block (the virtual board does so at every access to the cycle counter), the part not
executed is taken back, so that the count is then exact to the instruction; only the stalls of flash
lines that the block reaches later stay counted already.

The C beside this module is compiled on first use, into the user's cache folder.
"""

import ctypes
import hashlib
import platform
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from unicorn import UC_HOOK_BLOCK, UC_HOOK_MEM_READ, Uc, UcError
from unicorn.arm_const import UC_ARM_REG_XPSR
from unicorn.unicorn_py3.unicorn import uclib

from automcu.boards.timing.blocks import (
    BlockTimer,
    Counts,
    Extent,
    FlashModel,
    flash_model,
)
from automcu.errors import BoardError
from automcu.mcu.profile import Device
from automcu.records import cache_folder
from automcu.toolchains import host_compiler

_SOURCE = Path(__file__).with_name("accounting.c")


@cache
def native_library() -> ctypes.CDLL:
    """The compiled accounting.

    Raises:
        ToolError: there is no compiler, or it refuses the source.
    """
    try:
        return ctypes.CDLL(str(compiled_library(_SOURCE)))
    except OSError:  # nowhere to keep it: compiled for this process alone
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            library = Path(folder) / _library_name(_SOURCE)
            _compile_to(_SOURCE, library)
            return ctypes.CDLL(str(library))


def compiled_library(source: Path) -> Path:
    """The shared library made from one C file.

    The file's name holds a hash of the source, so that a new version is compiled anew; it appears
    complete or not at all, so that several processes can start at once.

    Raises:
        ToolError: there is no compiler, or it refuses the source.
        OSError: the cache folder cannot be written to.
    """
    library = cache_folder() / _library_name(source)
    if not library.exists():
        _compile_to(source, library)
    return library


def _library_name(source: Path) -> str:
    identity = f"{sys.platform} {platform.machine()} {ctypes.sizeof(ctypes.c_void_p)}".encode()
    digest = hashlib.sha256(source.read_bytes() + identity).hexdigest()
    return f"{source.stem}-{digest[:16]}{'.dll' if sys.platform == 'win32' else '.so'}"


def _compile_to(source: Path, library: Path) -> None:
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        compiled = Path(folder) / library.name
        host_compiler().shared_library([source], compiled)
        compiled.replace(library)


_MAX_FLASH_RANGES = 4
_NO_LINE = 0xFFFFFFFF
_BLOCK_CAPACITY = 1 << 16
_LINE_CYCLES_CAPACITY = 1 << 18

_U32 = ctypes.c_uint32
_U64 = ctypes.c_uint64
_ROW = ctypes.POINTER(_U32)
_RequestBlock = ctypes.CFUNCTYPE(None, _U32, _U32, _U32)


class _FlashRange(ctypes.Structure):
    _fields_ = (("address", _U32), ("size", _U32), ("first_line", _U32))


class _Block(ctypes.Structure):
    _fields_ = (
        ("key", _U32),
        ("size", _U32),
        ("instructions", _U32),
        ("cycles", _U32),
        ("taken_penalty", _U32),
        ("first_line", _U32),
        ("line_count", _U32),
        ("line_cycles", _U32),
    )


class _LineCache(ctypes.Structure):
    _fields_ = (
        ("capacity", _U32),
        ("used", _U32),
        ("newest", _U32),
        ("oldest", _U32),
        ("slot_of_line", _ROW),
        ("line_of_slot", _ROW),
        ("newer", _ROW),
        ("older", _ROW),
    )


class _State(ctypes.Structure):
    """`Accounting` in accounting.c."""

    _fields_ = (
        ("instructions", _U64),
        ("core_cycles", _U64),
        ("fetch_stalls", _U64),
        ("read_stalls", _U64),
        ("cycles_before_block", _U64),
        ("block_address", _U32),
        ("block_size", _U32),
        ("block_continues", _U32),
        ("taken_penalty", _U32),
        ("current_line", _U32),
        ("cycles_in_line", _U32),
        ("range_count", _U32),
        ("ranges", _FlashRange * _MAX_FLASH_RANGES),
        ("line_bytes", _U32),
        ("wait_states", _U32),
        ("instruction_cache", _LineCache),
        ("data_cache", _LineCache),
        ("blocks", ctypes.POINTER(_Block)),
        ("block_capacity", _U32),
        ("blocks_used", _U32),
        ("line_cycles", _ROW),
        ("line_cycles_capacity", _U32),
        ("line_cycles_used", _U32),
        ("requested", _Block),
        ("request_block", _RequestBlock),
        ("read_register", ctypes.c_void_p),
        ("write_register", ctypes.c_void_p),
        ("program_status_register", ctypes.c_int),
    )


class Accounting:
    """Adds up cycles of the code that an engine runs between `attach` and `detach`."""

    def __init__(self, library: ctypes.CDLL, timer: BlockTimer, flash: FlashModel) -> None:
        if library.accounting_bytes() != ctypes.sizeof(_State):
            raise BoardError(
                "The compiled timing model does not fit this Python. "
                "Delete automcu's folder in your cache folder and try again."
            )
        self._library = library
        self._timer = timer
        self._flash = flash
        self._engine: Uc | None = None
        self._hooks: list[ctypes.c_size_t] = []
        self._failure: Exception | None = None
        self._state = _new_state(flash, _RequestBlock(self._request_block))

    def attach(self, engine: Uc) -> None:
        """Install the hooks. The engine must not be running."""
        self._engine = engine
        self._hook(UC_HOOK_BLOCK, self._library.accounting_on_block, 1, 0)
        if self._flash.wait_states:
            for r in self._flash.ranges:
                last = r.address + r.size - 1
                self._hook(UC_HOOK_MEM_READ, self._library.accounting_on_read, r.address, last)

    def detach(self, engine: Uc) -> None:
        """Remove the hooks. The engine must not be running."""
        for hook in self._hooks:
            _check(uclib.uc_hook_del(engine._uch, hook))
        self._hooks = []
        self._engine = None

    def stopped_at(self, address: int) -> bool:
        """The engine was stopped, `address` being next: take back what was not executed.

        Return whether that was inside of a block. (If it was behind one, it came there by its last
        instruction, whose penalty is due now.)
        """
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        state = self._state
        start, size = state.block_address, state.block_size
        if not start <= address < start + size:
            if address != start + size:
                state.core_cycles += state.taken_penalty
                state.taken_penalty = 0
            return False
        instructions, cycles = self._timer.rest_of_block(
            (start, size), bool(state.block_continues), address
        )
        state.instructions -= instructions
        state.core_cycles -= cycles
        state.block_size = address - start
        state.taken_penalty = 0
        return True

    def counts(self) -> Counts:
        """Totals, the current block counted as a whole."""
        return Counts(
            instructions=self._state.instructions,
            core_cycles=self._state.core_cycles,
            fetch_stalls=self._state.fetch_stalls,
            read_stalls=self._state.read_stalls,
        )

    def block_address(self) -> int:
        """Where the current block starts."""
        return int(self._state.block_address)

    def cycles_before_block(self) -> int:
        """The cycle count at the moment when the current block was entered."""
        return int(self._state.cycles_before_block)

    def _hook(self, kind: int, function: Callable[..., object], begin: int, end: int) -> None:
        assert self._engine is not None
        handle = ctypes.c_size_t()
        _check(
            uclib.uc_hook_add(
                self._engine._uch,
                ctypes.byref(handle),
                kind,
                ctypes.cast(function, ctypes.c_void_p),  # type: ignore[arg-type]
                ctypes.cast(ctypes.pointer(self._state), ctypes.c_void_p),
                _U64(begin),
                _U64(end),
            )
        )
        self._hooks.append(handle)

    def _request_block(self, address: int, size: int, continues: int) -> None:
        """Called from C when it meets a block for the first time."""
        state = self._state
        requested = state.requested
        requested.key = address | continues
        requested.size = size
        try:
            before: Extent = (state.block_address, state.block_size)
            block = self._timer.block(
                (address, size), bool(continues), before if before[1] else None
            )
        except Exception as error:  # it must not cross C; stopped_at raises it again
            self._failure = error
            if self._engine is not None:
                self._engine.emu_stop()
            return
        requested.instructions = block.instructions
        requested.cycles = block.cycles
        requested.taken_penalty = block.taken_penalty
        requested.first_line = block.first_line
        requested.line_count = len(block.line_cycles)
        requested.line_cycles = state.line_cycles_used
        for index, cycles in enumerate(block.line_cycles, state.line_cycles_used):
            state.line_cycles[index] = cycles


def _new_state(flash: FlashModel, request_block: "ctypes._FuncPointer") -> _State:
    if len(flash.ranges) > _MAX_FLASH_RANGES:
        raise BoardError(
            f"The timing model takes {_MAX_FLASH_RANGES} flash regions, the profile has "
            f"{len(flash.ranges)}. Join those that lie end to end."
        )
    state = _State()
    state.current_line = _NO_LINE
    state.range_count = len(flash.ranges)
    for index, r in enumerate(flash.ranges):
        state.ranges[index] = _FlashRange(r.address, r.size, r.first_line)
    state.line_bytes = flash.line_bytes
    state.wait_states = flash.wait_states
    state.instruction_cache = _line_cache(flash.instruction_lines, flash.lines)
    state.data_cache = _line_cache(flash.data_lines, flash.lines)
    state.blocks = ctypes.cast((_Block * _BLOCK_CAPACITY)(), ctypes.POINTER(_Block))
    state.block_capacity = _BLOCK_CAPACITY
    state.line_cycles = _row(_LINE_CYCLES_CAPACITY)
    state.line_cycles_capacity = _LINE_CYCLES_CAPACITY
    state.request_block = request_block
    state.read_register = ctypes.cast(uclib.uc_reg_read, ctypes.c_void_p)
    state.write_register = ctypes.cast(uclib.uc_reg_write, ctypes.c_void_p)
    state.program_status_register = UC_ARM_REG_XPSR
    return state


def _line_cache(capacity: int, lines: int) -> _LineCache:
    slots = max(1, capacity) + 1  # slot 0 means "none"
    return _LineCache(
        capacity=max(1, capacity),
        slot_of_line=_row(lines),
        line_of_slot=_row(slots),
        newer=_row(slots),
        older=_row(slots),
    )


def _row(length: int) -> "ctypes._Pointer[ctypes.c_uint32]":
    """Zeroed memory that lives as long as the structure that points to it."""
    return ctypes.cast((_U32 * max(1, length))(), _ROW)


def _check(status: int) -> None:
    if status:
        raise UcError(status)


def new_accounting(engine: Uc, device: Device) -> Accounting:
    """A fresh accounting of what `engine` runs, with empty caches.

    Raises:
        ToolError: it cannot be compiled here.
        WrongInputError: there are no timing rules for the device's core.
    """
    flash = flash_model(device)
    timer = BlockTimer(lambda a, n: bytes(engine.mem_read(a, n)), device.core, flash)
    return Accounting(native_library(), timer, flash)

"""Compilers: finding them, driving them, and reading what they made."""

from automcu.toolchains.build import Build, ElfSizes, build_project, elf_sizes, flash_image
from automcu.toolchains.compiler import Compiler, HostCompiler, find_compiler, host_compiler
from automcu.toolchains.firmware import (
    DEFAULT_STACK_BYTES,
    firmware_sources,
    render_board_header,
    render_linker_script,
    write_firmware,
    write_names,
)

__all__ = [
    "DEFAULT_STACK_BYTES",
    "Build",
    "Compiler",
    "ElfSizes",
    "HostCompiler",
    "build_project",
    "elf_sizes",
    "find_compiler",
    "firmware_sources",
    "flash_image",
    "host_compiler",
    "render_board_header",
    "render_linker_script",
    "write_firmware",
    "write_names",
]

"""Compilers: finding them, driving them, and reading what they made."""

from automcu.toolchains.board_header import render_board_header
from automcu.toolchains.build import Build, build_project
from automcu.toolchains.compiler import Compiler, HostCompiler, find_compiler, host_compiler
from automcu.toolchains.elf import ElfSizes, elf_sizes, flash_image
from automcu.toolchains.firmware_files import firmware_sources, write_firmware, write_names
from automcu.toolchains.linker_script import DEFAULT_STACK_BYTES, render_linker_script

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

"""Compilers: finding them, driving them, and reading what they made."""

from typing import TYPE_CHECKING

from automcu.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from automcu.toolchains.board_header import render_board_header
    from automcu.toolchains.build import build_project
    from automcu.toolchains.compiler import Compiler, find_compiler
    from automcu.toolchains.elf import ElfSizes, elf_sizes, flash_image
    from automcu.toolchains.firmware_files import (
        firmware_sources,
        write_firmware,
        write_names,
    )
    from automcu.toolchains.host import HostCompiler, host_compiler
    from automcu.toolchains.linker_script import DEFAULT_STACK_BYTES, render_linker_script
    from automcu.toolchains.records import Build
else:
    __getattr__ = lazy_exports(
        __name__,
        {
            "board_header": ("render_board_header",),
            "build": ("build_project",),
            "compiler": (
                "Compiler",
                "find_compiler",
            ),
            "elf": (
                "ElfSizes",
                "elf_sizes",
                "flash_image",
            ),
            "firmware_files": (
                "firmware_sources",
                "write_firmware",
                "write_names",
            ),
            "host": (
                "HostCompiler",
                "host_compiler",
            ),
            "linker_script": (
                "DEFAULT_STACK_BYTES",
                "render_linker_script",
            ),
            "records": ("Build",),
        },
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

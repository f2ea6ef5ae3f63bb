"""The timing model: cycles of machine code on a core whose flash has wait states."""

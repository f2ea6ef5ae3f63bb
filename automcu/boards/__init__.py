"""Boards, real and virtual: flashing them, talking to their firmware, and measuring on them."""

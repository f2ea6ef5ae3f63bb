"""From one sentence to a network that fits a microcontroller, its firmware, and its latency."""

__version__ = "0.1.0"

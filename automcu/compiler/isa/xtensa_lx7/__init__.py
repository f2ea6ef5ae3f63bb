"""Kernels for the LX7 of the ESP32-S3: 32 bits, no packed arithmetic that is used here."""

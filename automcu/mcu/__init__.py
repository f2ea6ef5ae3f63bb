"""Boards, from `hw_profiles/`: their records, and finding the one that a user means."""

from automcu.mcu.family import find_part
from automcu.mcu.find import (
    all_devices,
    find_device,
    load_profile,
    shipped_devices,
    user_folder,
)
from automcu.mcu.generate import profile_of, write_profile
from automcu.mcu.profile import Device, MemoryRegion

__all__ = [
    "Device",
    "MemoryRegion",
    "all_devices",
    "find_device",
    "find_part",
    "load_profile",
    "profile_of",
    "shipped_devices",
    "user_folder",
    "write_profile",
]

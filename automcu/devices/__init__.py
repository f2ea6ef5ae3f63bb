"""Boards, from `hw_profiles/`: their records, and finding the one that a user means."""

from automcu.devices.catalogue import all_devices, shipped_devices, user_folder
from automcu.devices.find import find_device
from automcu.devices.load import load_profile
from automcu.devices.part_data import find_part
from automcu.devices.part_profile import profile_of
from automcu.devices.profile import Device, MemoryRegion
from automcu.devices.write import write_profile

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

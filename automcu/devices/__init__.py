"""Boards, from `hw_profiles/`: their records, and finding the one that a user means."""

from automcu.devices.catalogue import all_devices
from automcu.devices.find import find_device
from automcu.devices.load import load_profile
from automcu.devices.profile import Device, MemoryRegion

__all__ = ["Device", "MemoryRegion", "all_devices", "find_device", "load_profile"]

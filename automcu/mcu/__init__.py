"""Boards, from `hw_profiles/`: their records, and finding the one that a user means."""

from typing import TYPE_CHECKING

from automcu.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from automcu.mcu.catalogue import all_devices, shipped_devices, user_folder
    from automcu.mcu.find import find_device
    from automcu.mcu.load import load_profile
    from automcu.mcu.part_data import find_part
    from automcu.mcu.part_profile import profile_of
    from automcu.mcu.profile import Device, MemoryRegion
    from automcu.mcu.write import write_profile
else:
    __getattr__ = lazy_exports(
        __name__,
        {
            "catalogue": (
                "all_devices",
                "shipped_devices",
                "user_folder",
            ),
            "find": ("find_device",),
            "load": ("load_profile",),
            "part_data": ("find_part",),
            "part_profile": ("profile_of",),
            "profile": (
                "Device",
                "MemoryRegion",
            ),
            "write": ("write_profile",),
        },
    )

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

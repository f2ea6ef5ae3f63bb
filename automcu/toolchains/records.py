"""What a build produced."""

from automcu.records import Record


class Build(Record):
    """A linked firmware. Sizes in bytes, from the ELF; paths relative to the project folder."""

    device: str
    elf: str
    image: str
    compiler: str
    sections: dict[str, int]
    flash_bytes: int
    ram_bytes: int
    arena_bytes: int
    weight_bytes: int

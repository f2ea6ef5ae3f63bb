"""What a build produced, and the proof that it computes what it should."""

from automcu.records import Record


class Verification(Record):
    """`inputs` of the `golden_inputs` went through the linked code, `how` says on what.

    `mismatches` is how many answers differed in any byte from the integer reference: 0, because a
    firmware that differs is not kept.
    """

    inputs: int
    golden_inputs: int
    mismatches: int
    how: str


class Unverified(Record):
    """Why nothing could be said about the linked code, as the end of "not verified: ..."."""

    reason: str


class Build(Record):
    """A linked firmware. Sizes in bytes, from the ELF; paths relative to the project folder.

    `verified` is the proof, `not_verified` the reason why there is none.
    """

    device: str
    elf: str
    image: str
    compiler: str
    sections: dict[str, int]
    flash_bytes: int
    ram_bytes: int
    arena_bytes: int
    weight_bytes: int
    verified: Verification | None = None
    not_verified: str | None = None

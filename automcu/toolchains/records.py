"""What a build produced, and the proof that it computes what it should."""

from pydantic import Field

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

    `verified` is the proof, `not_verified` the reason why there is none. `sha256` has the hashes of
    the ELF and the image by their paths, and `model_hash` is what project.json said of the network:
    so a firmware that was damaged, or that holds another network, is noticed before it is flashed.
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
    sha256: dict[str, str] = Field(default_factory=dict)
    model_hash: str | None = None

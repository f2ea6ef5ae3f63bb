"""A pack of JPEG files in one NumPy archive: small, and read in one go.

Arrays: `jpeg` uint8, all files end to end; `offset` [n + 1], where each begins and the last ends;
`label` integers [n]. Where the file's name holds "train" and a pack named alike with "test" lies
beside it, that one is the test split.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np

from automcu.datasets.assemble import Labelled, assemble
from automcu.datasets.image_files import decode, describe_unreadable, read_header
from automcu.datasets.npz_archive import array_names, read_arrays
from automcu.datasets.record import Dataset
from automcu.datasets.source import Request, Source
from automcu.errors import WrongInputError

ARRAYS = ("jpeg", "offset", "label")


def _recognises(request: Request) -> bool:
    path = request.path
    return path.suffix.lower() == ".npz" and path.is_file() and set(ARRAYS) <= {*array_names(path)}


def _load(request: Request) -> Dataset:
    path = request.path
    train, notes = _read_pack(path, request.image_side)
    beside = path.with_name(path.name.replace("train", "test"))
    test = None
    if beside != path and beside.is_file():
        test, test_notes = _read_pack(beside, request.image_side)
        notes += test_notes
    return assemble(str(path), train, test=test, seed=request.seed, notes=notes)


def _read_pack(path: Path, image_side: int | None) -> tuple[Labelled, tuple[str, ...]]:
    arrays = read_arrays(path, ARRAYS)
    content = arrays["jpeg"].astype(np.uint8, copy=False).tobytes()
    offsets = arrays["offset"].astype(np.int64)
    labels = arrays["label"]
    if (
        len(offsets) != len(labels) + 1
        or len(labels) == 0
        or (np.diff(offsets) < 0).any()
        or not 0 <= offsets[0] <= offsets[-1] <= len(content)
    ):
        raise WrongInputError(
            f"{path}: the offsets do not mark one JPEG for each label. Pack the images again."
        )
    files = [content[start:end] for start, end in pairwise(offsets.tolist())]
    header = next(filter(None, map(read_header, files)), None)
    if header is None:
        raise WrongInputError(f"{path} holds no readable JPEG. Pack the images again.")
    side = image_side or min(header.width, header.height)
    channels = 1 if header.is_grey else 3
    decoded = [decode(file, side, channels) for file in files]
    damaged = [f"image {index}" for index, pixels in enumerate(decoded) if pixels is None]
    notes = describe_unreadable(damaged, len(files), str(path))
    intact = np.array([pixels is not None for pixels in decoded])
    images = np.stack([pixels for pixels in decoded if pixels is not None])
    return Labelled(images, labels[intact]), notes


SOURCE = Source(names=("PACK.npz",), recognises=_recognises, load=_load)

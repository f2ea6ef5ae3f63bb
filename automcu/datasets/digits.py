"""The 1,797 handwritten digits that scikit-learn ships: 8x8 pixels, 17 grey levels.

Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI repository, 1998.
"""

import numpy as np

from automcu.datasets.assemble import Labelled, assemble
from automcu.datasets.record import Dataset
from automcu.datasets.source import Request, Source, plain_name

GREY_LEVEL_MAXIMUM = 16


def _recognises(request: Request) -> bool:
    return plain_name(request.name) == "digits"


def _load(request: Request) -> Dataset:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = (bunch.images / GREY_LEVEL_MAXIMUM).astype(np.float32)
    return assemble("digits", Labelled(images, bunch.target), seed=request.seed)


SOURCE = Source(names=("digits",), recognises=_recognises, load=_load)

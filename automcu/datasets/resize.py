"""Bring a data set to the resolution that a network expects."""

import numpy as np

from automcu.datasets.record import Dataset, Split

BATCH = 4096


def resized(dataset: Dataset, side: int) -> Dataset:
    """Return `dataset` with square inputs of `side` pixels, antialiased bilinear."""
    if dataset.input_shape[:2] == (side, side):
        return dataset
    return Dataset(
        name=dataset.name,
        train=_resized_split(dataset.train, side),
        validation=_resized_split(dataset.validation, side),
        test=_resized_split(dataset.test, side),
        class_names=dataset.class_names,
        notes=dataset.notes,
    )


def _resized_split(split: Split, side: int) -> Split:
    # Seconds to import, for which data of the right size need not wait.
    import torch
    from torch.nn.functional import interpolate

    images = torch.from_numpy(split.inputs).permute(0, 3, 1, 2)
    batches = [
        interpolate(batch, size=(side, side), mode="bilinear", antialias=True).clamp(0, 1)
        for batch in torch.split(images, BATCH)
    ]
    inputs = torch.cat(batches).permute(0, 2, 3, 1).contiguous().numpy()
    return Split(inputs=inputs.astype(np.float32, copy=False), labels=split.labels)

"""Bring a data set to the resolution that a network expects."""

import numpy as np

from automcu.datasets.record import Dataset, Split

BATCH = 4096


def resized(dataset: Dataset, height: int, width: int | None = None) -> Dataset:
    """Return `dataset` with inputs of this size, square without a width, antialiased bilinear."""
    size = height, height if width is None else width
    if dataset.input_shape[:2] == size:
        return dataset
    return Dataset(
        name=dataset.name,
        train=_resized_split(dataset.train, size),
        validation=_resized_split(dataset.validation, size),
        test=_resized_split(dataset.test, size),
        class_names=dataset.class_names,
        notes=dataset.notes,
    )


def _resized_split(split: Split, size: tuple[int, int]) -> Split:
    # Seconds to import, for which data of the right size need not wait.
    import torch
    from torch.nn.functional import interpolate

    images = torch.from_numpy(split.inputs).permute(0, 3, 1, 2)
    batches = [
        interpolate(batch, size=size, mode="bilinear", antialias=True).clamp(0, 1)
        for batch in torch.split(images, BATCH)
    ]
    inputs = torch.cat(batches).permute(0, 2, 3, 1).contiguous().numpy()
    return Split(inputs=inputs.astype(np.float32, copy=False), labels=split.labels)

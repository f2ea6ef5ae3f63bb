"""Random shifts and mirroring of a batch, as one gather of its pixels."""

import torch
from torch import Tensor
from torch.nn.functional import pad


def draw_batch(
    images: Tensor,
    indices: Tensor,
    shift_pixels: int,
    flip: bool,
    generator: torch.Generator,
) -> Tensor:
    """Return images[indices], each moved by up to `shift_pixels` and mirrored at random.

    `images` is float32 [n, height, width, channels]; the result is [batch, channels, height, width]
    in channels-last memory order. Pixels that come in from outside are zero.
    """
    batch = images[indices]
    if shift_pixels or flip:
        batch = _moved(batch, shift_pixels, flip, generator)
    return batch.permute(0, 3, 1, 2)


def _moved(batch: Tensor, shift: int, flip: bool, generator: torch.Generator) -> Tensor:
    count, height, width, _ = batch.shape
    offsets = torch.randint(0, 2 * shift + 1, (count, 2), generator=generator)
    rows = torch.arange(height) + offsets[:, :1]
    columns = torch.arange(width).expand(count, width)
    if flip:
        mirrored = torch.rand(count, 1, generator=generator) < 0.5
        columns = torch.where(mirrored, width - 1 - columns, columns)
    columns = columns + offsets[:, 1:]
    padded = pad(batch, (0, 0, shift, shift, shift, shift))
    image = torch.arange(count)
    return padded[
        image[:, None, None].to(batch.device),
        rows[:, :, None].to(batch.device),
        columns[:, None, :].to(batch.device),
    ]

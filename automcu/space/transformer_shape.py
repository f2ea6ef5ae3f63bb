"""The shape of a vision transformer: patches, width, depth and heads."""

from pydantic import Field, model_validator

from automcu.records import Record


class TransformerShape(Record):
    """Images of `resolution` x `resolution` pixels cut into patches of `patch` x `patch`.

    `dim` channels a token, split into `heads`; `depth` blocks whose hidden layer has `mlp_ratio`
    times as many. Tokens are averaged before the head. DeiT-Tiny is patch 16, dim 192, depth 12,
    heads 3 at 224 pixels (Touvron et al., 2021).
    """

    resolution: int = Field(default=28, ge=1)
    in_channels: int = Field(default=1, ge=1)
    classes: int = Field(default=10, ge=2)
    patch: int = Field(default=7, ge=1)
    dim: int = Field(default=64, ge=1)
    depth: int = Field(default=3, ge=1)
    heads: int = Field(default=4, ge=1)
    mlp_ratio: int = Field(default=4, ge=1)

    @model_validator(mode="after")
    def _divides(self) -> "TransformerShape":
        if self.resolution % self.patch:
            raise ValueError(f"{self.resolution} pixels are no whole patches of {self.patch}")
        if self.dim % self.heads:
            raise ValueError(f"{self.dim} channels do not divide into {self.heads} heads")
        return self

    @property
    def tokens(self) -> int:
        """Patches of an image."""
        return (self.resolution // self.patch) ** 2

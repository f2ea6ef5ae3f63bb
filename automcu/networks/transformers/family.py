"""Vision transformers as a family: patches, width, depth, heads, and which shapes suit the data."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING

from pydantic import Field, ValidationError, model_validator

from automcu.errors import UnsupportedModelError, WrongInputError
from automcu.networks.family import Description, Family, FamilyPlan, Network, Task, resolutions

if TYPE_CHECKING:
    from automcu.compiler.graph import Graph
    from automcu.training.records import Trained, Training


PREFIX = "vit:"
_NAMED = ("patch", "dim", "depth", "heads", "mlp_ratio")
_EXAMPLE = "vit:patch=4,dim=64,depth=4,heads=4,mlp_ratio=2"


class TransformerShape(Network):
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
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an input."""
        return self.resolution, self.resolution, self.in_channels

    @property
    def class_count(self) -> int:
        """How many classes it tells apart."""
        return self.classes

    @property
    def tokens(self) -> int:
        """Patches of an image."""
        return (self.resolution // self.patch) ** 2


def parse_transformer(
    text: str, resolution: int, in_channels: int, classes: int
) -> TransformerShape:
    """Read a shape written like `vit:patch=4,dim=64,depth=4,heads=4,mlp_ratio=2`.

    Raises:
        WrongInputError: it is not written so, or no network has that shape.
    """
    settings: dict[str, int] = {}
    for part in filter(None, text.removeprefix(PREFIX).split(",")):
        name, _, value = part.strip().partition("=")
        if name not in _NAMED or not value.isdigit():
            raise WrongInputError(f"{part!r} says nothing of a transformer. Write {_EXAMPLE}.")
        settings[name] = int(value)
    try:
        return TransformerShape(
            resolution=resolution, in_channels=in_channels, classes=classes, **settings
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        reason = str(first["msg"]).removeprefix("Value error, ")
        raise WrongInputError(
            f"{text} is no shape of a transformer: {where}{where and ': '}{reason}. "
            "Choose patches that divide the image and heads that divide dim."
        ) from None


DIMS = (32, 48, 64, 96, 128, 192)
DEPTHS = (1, 2, 3, 4, 6, 8, 12)
HEAD_WIDTHS = (16, 32)
MLP_RATIOS = (2, 4)
# Fewer patches say too little of where things are; attention over more of them outweighs the rest.
FEWEST_TOKENS = 9
MOST_TOKENS = 256
# DeiT has 16 channels a block of depth; far from that, a network is starved of one or the other.
_LEAST_CHANNELS_PER_BLOCK = 8
_MOST_CHANNELS_PER_BLOCK = 64
# A side that no patch divides well is rounded down to a multiple of this.
_SIDE_STEP = 4


def transformer_shapes(
    sides: Sequence[int], in_channels: int, classes: int
) -> tuple[TransformerShape, ...]:
    """Return the shapes for square images of these sides, the largest first.

    Shapes that differ in depth only stand side by side, by ascending depth. A side that does not
    divide into a sensible number of patches is rounded down to one that does.
    """
    return tuple(
        TransformerShape(
            resolution=side,
            in_channels=in_channels,
            classes=classes,
            patch=patch,
            dim=dim,
            depth=depth,
            heads=dim // width,
            mlp_ratio=ratio,
        )
        for side in dict.fromkeys(map(_divisible, sides))
        for patch in _patches(side)
        for dim, width, ratio in product(DIMS, HEAD_WIDTHS, MLP_RATIOS)
        if dim % width == 0
        for depth in _depths(dim)
    )


def _depths(dim: int) -> Iterator[int]:
    for depth in DEPTHS:
        if _LEAST_CHANNELS_PER_BLOCK <= dim / depth <= _MOST_CHANNELS_PER_BLOCK:
            yield depth


def _divisible(side: int) -> int:
    return side if _patches(side) or side < _SIDE_STEP else side - side % _SIDE_STEP


def _patches(side: int) -> list[int]:
    """Sides of patches, the largest first: few tokens are cheaper than many."""
    return [
        patch
        for patch in range(side, 0, -1)
        if side % patch == 0 and FEWEST_TOKENS <= (side // patch) ** 2 <= MOST_TOKENS
    ]


class TransformerFamily(Family[TransformerShape]):
    """See `Family`; a study knows nothing of transformers, their order is the plan's."""

    name = "vit"
    plural = "transformers"
    title = "vision transformers"
    network = TransformerShape
    note = (
        "Transformers were compiled one by one; all their weights are ternary. “float” is the "
        "network that taught the ternary one."
    )

    def survey(self, task: Task) -> FamilyPlan:
        """Judge all shapes and choose the most promising."""
        from automcu.networks.transformers.survey import plan_transformers, survey_transformers

        height, width, channels = task.input_shape
        shapes = transformer_shapes(resolutions((height, width)), channels, task.classes)
        if not shapes:
            raise UnsupportedModelError(
                f"Images of {height}x{width} pixels are too small to be cut into patches. "
                "Use --family cnn, or larger images."
            )

        def report(judged: int, total: int, fit: int) -> None:
            task.progress(judged / total, f"{fit:,} of {judged:,} transformers fit")

        return plan_transformers(
            survey_transformers(task.device, shapes, task.limits, report),
            latency_limit_ms=task.latency_limit_ms,
            budget=task.budget,
            seed=task.seed,
        )

    def graph(self, network: TransformerShape) -> "Graph":
        """Build the graph of a transformer whose weights are all ternary."""
        from automcu.networks.transformers.survey import transformer_graph

        return transformer_graph(network)

    def train(self, network: TransformerShape, training: "Training") -> "Trained":
        """Train a float teacher, then the ternary student."""
        from automcu.networks.transformers.torch import train_transformer

        return train_transformer(network, training)

    def describe(self, network: TransformerShape) -> Description:
        """Write width, depth, heads and MLP ratio, and how images are cut."""
        size = f"{network.resolution}×{network.resolution}×{network.in_channels}"
        return Description(
            f"ViT {network.dim} wide, {network.depth} deep, {network.heads} h, "
            f"MLP×{network.mlp_ratio}",
            f"P{network.patch} {size} ternary",
            "a vision transformer",
        )

    def parse(
        self, text: str, sizes: Mapping[str, int], ternary: bool | None
    ) -> TransformerShape | None:
        """Read a shape like `vit:patch=4,dim=64,depth=4,heads=4`."""
        if not text.startswith(PREFIX):
            return None
        if ternary is None:
            raise WrongInputError(
                "The weights of a vision transformer are ternary, and it has none yet. Leave "
                "--weights and --data out."
            )
        return parse_transformer(
            text, sizes["resolution"], sizes["input_channels"], sizes["classes"]
        )

    def identity(self, network: TransformerShape) -> dict[str, object]:
        """Return the shape."""
        return {"transformer": network.model_dump()}


FAMILY = TransformerFamily()

"""Vision transformers as a family: every shape for the data is compiled, without weights."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from automcu.errors import UnsupportedModelError, WrongInputError
from automcu.networks.family import Description, Family, FamilyPlan, Task, resolutions
from automcu.networks.transformers.space import PREFIX, TransformerShape, parse_transformer

if TYPE_CHECKING:
    from automcu.compiler.graph import Graph
    from automcu.training.records import Trained, Training


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
        from automcu.networks.transformers.space import transformer_shapes
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
        from automcu.networks.transformers.graph import transformer_graph

        return transformer_graph(network)

    def train(self, network: TransformerShape, training: "Training") -> "Trained":
        """Train a float teacher, then the ternary student."""
        from automcu.networks.transformers.train import train_transformer

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

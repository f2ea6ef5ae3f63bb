"""The space of architectures: NAS-Bench-201 cells in a skeleton that is scaled to the board."""

from typing import TYPE_CHECKING

from automcu.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from automcu.space.accuracy_table import (
        AccuracyTable,
        accuracy_prior,
        read_accuracy_table,
        unknown_accuracies,
    )
    from automcu.space.analog_nasbench import AccuracyKind
    from automcu.space.architecture import Architecture, Skeleton
    from automcu.space.cell import EDGES, OPERATIONS, Cell, Operation, all_cells
    from automcu.space.counting import (
        STAGES,
        Stage,
        count_live_macs,
        count_live_parameters,
        count_macs,
        count_parameters,
        stages,
    )
    from automcu.space.isomorphism import canonical_form, isomorphism_classes
    from automcu.space.nats_bench import ACCURACY_DATASETS, AccuracyDataset
    from automcu.space.network import Network, class_count, input_channels, input_side
    from automcu.space.transformer_shape import TransformerShape, parse_transformer
    from automcu.space.transformer_space import transformer_shapes
else:
    __getattr__ = lazy_exports(
        __name__,
        {
            "accuracy_table": (
                "AccuracyTable",
                "accuracy_prior",
                "read_accuracy_table",
                "unknown_accuracies",
            ),
            "analog_nasbench": ("AccuracyKind",),
            "architecture": (
                "Architecture",
                "Skeleton",
            ),
            "cell": (
                "EDGES",
                "OPERATIONS",
                "Cell",
                "Operation",
                "all_cells",
            ),
            "counting": (
                "STAGES",
                "Stage",
                "count_live_macs",
                "count_live_parameters",
                "count_macs",
                "count_parameters",
                "stages",
            ),
            "network": ("Network", "class_count", "input_channels", "input_side"),
            "transformer_shape": ("TransformerShape", "parse_transformer"),
            "transformer_space": ("transformer_shapes",),
            "nats_bench": ("ACCURACY_DATASETS", "AccuracyDataset"),
            "isomorphism": (
                "canonical_form",
                "isomorphism_classes",
            ),
        },
    )

__all__ = [
    "ACCURACY_DATASETS",
    "EDGES",
    "OPERATIONS",
    "STAGES",
    "AccuracyDataset",
    "AccuracyKind",
    "AccuracyTable",
    "Architecture",
    "Cell",
    "Network",
    "Operation",
    "Skeleton",
    "Stage",
    "TransformerShape",
    "accuracy_prior",
    "all_cells",
    "canonical_form",
    "class_count",
    "count_live_macs",
    "count_live_parameters",
    "count_macs",
    "count_parameters",
    "input_channels",
    "input_side",
    "isomorphism_classes",
    "parse_transformer",
    "read_accuracy_table",
    "stages",
    "transformer_shapes",
    "unknown_accuracies",
]

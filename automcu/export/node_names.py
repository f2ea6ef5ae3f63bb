"""Readable names for the nodes of an exported graph; they become layer names in generated C.

The exporter names a node after the path of modules that ran it:
`/stages.0/stages.0.1/0_to_1/0_to_1.0/Conv` becomes `stage0_cell1_0_to_1_conv3x3`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from onnx import NodeProto
from torch import nn

OPERATOR_LABELS = {
    "AveragePool": "avgpool",
    "BatchNormalization": "batchnorm",
    "GlobalAveragePool": "global_avgpool",
    "MaxPool": "maxpool",
}
CLASS_SUFFIXES = ("Module", "Block", "Layer")


def readable_names(nodes: Iterable[NodeProto], network: nn.Module) -> dict[str, str]:
    """Return a unique C identifier for each node's name, in the same order on every export.

    Positions in an `nn.Sequential` are left out where the name is unique without them.
    """
    owners = _module_labels(network)
    parts = {node.name: _parts(node, owners) for node in nodes}
    short = {
        name: _joined(part for part in found if not part.isdigit()) for name, found in parts.items()
    }
    uses = Counter(short.values())
    names: dict[str, str] = {}
    taken: set[str] = set()
    for name, found in parts.items():
        wanted = short[name] if uses[short[name]] == 1 else _joined(found)
        names[name] = _first_free(wanted, taken)
        taken.add(names[name])
    return names


def _module_labels(network: nn.Module) -> dict[str, str]:
    """Name each module that is not torch's own after its class: `stages.0.1` is a `cell`."""
    labels = {}
    for path, module in network.named_modules():
        if not type(module).__module__.startswith("torch."):
            labels[path] = _label_of_class(type(module).__name__)
    return labels


def _label_of_class(name: str) -> str:
    for suffix in CLASS_SUFFIXES:
        name = name.removesuffix(suffix) or name
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _parts(node: NodeProto, owners: Mapping[str, str]) -> list[str]:
    *scopes, operator = node.name.strip("/").split("/")
    parts = []
    before = ""
    for scope in scopes:
        own = scope.removeprefix(f"{before}.") if before else scope
        parts += _scope_parts(scope, own, owners)
        before = scope
    return [*parts, _operator_label(node), *re.findall(r"_(\d+)$", operator)]


def _scope_parts(scope: str, own: str, owners: Mapping[str, str]) -> list[str]:
    if own.isdigit():
        return [f"{owners[scope]}{own}"] if scope in owners else [own]
    in_list = re.fullmatch(r"(.*?)s?\.(\d+)", own)
    return [f"{in_list[1]}{in_list[2]}" if in_list else own]


def _operator_label(node: NodeProto) -> str:
    attributes = {attribute.name: attribute for attribute in node.attribute}
    label: str = OPERATOR_LABELS.get(node.op_type, node.op_type.lower())
    if "group" in attributes and attributes["group"].i > 1:
        label = f"depthwise_{label}"
    if "kernel_shape" in attributes:
        label += "x".join(str(size) for size in attributes["kernel_shape"].ints)
    return label


def _joined(parts: Iterable[str]) -> str:
    name = re.sub(r"\W", "_", "_".join(parts)).lower()
    return f"layer_{name}" if name[:1].isdigit() else name


def _first_free(wanted: str, taken: set[str]) -> str:
    name, count = wanted, 1
    while name in taken:
        count += 1
        name = f"{wanted}_{count}"
    return name

"""A record's JSON schema in the subset that servers guarantee to keep to.

OpenAI, "Structured model outputs", section "Supported schemas": every property is required, nothing
else may stand beside them, there are no defaults, and lists have one kind of item. What the subset
cannot say, such as the length of a text, the record itself still checks.
"""

from typing import Any

from automcu.records import Record

_NOT_SUPPORTED = ("default", "title", "minLength", "maxLength")


def strict_schema(record: type[Record]) -> dict[str, Any]:
    """Return the schema of a record's JSON; what has a default must be given too."""
    schema = _strict(record.model_json_schema())
    assert isinstance(schema, dict)
    return schema


def _strict(node: Any) -> Any:
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    found = {key: _strict(value) for key, value in node.items() if key not in _NOT_SUPPORTED}
    if "properties" in node:
        # Names of properties are no keywords, so one may be called "title".
        found["properties"] = {name: _strict(one) for name, one in node["properties"].items()}
        found |= {"required": list(node["properties"]), "additionalProperties": False}
    if "prefixItems" in found:
        found["items"] = _the_only_kind(found.pop("prefixItems"))
    return found


def _the_only_kind(items: list[Any]) -> Any:
    """Return what all items of a tuple are; records that are answers have no other tuples."""
    assert all(item == items[0] for item in items)
    return items[0]

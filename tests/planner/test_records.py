from collections.abc import Iterator
from typing import Any

import pytest

from automcu.planner.records import (
    ArchitectAnswer,
    CriticAnswer,
    IntakeAnswer,
    ReporterAnswer,
    strict_schema,
)
from automcu.records import Record

ANSWERS = (ArchitectAnswer, CriticAnswer, IntakeAnswer, ReporterAnswer)
# OpenAI's list of what strict schemas may hold, as far as ours use it.
KEYWORDS = {
    *("$defs", "$ref", "anyOf", "type", "enum", "items", "minItems", "maxItems"),
    *("minimum", "maximum", "properties", "required", "additionalProperties", "description"),
}


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield every schema within a schema."""
    yield schema
    for key in ("$defs", "properties"):
        for child in schema.get(key, {}).values():
            yield from nodes(child)
    for child in [*schema.get("anyOf", []), *([schema["items"]] if "items" in schema else [])]:
        yield from nodes(child)


@pytest.mark.parametrize("record", ANSWERS)
def test_every_answer_has_a_schema_that_openai_takes_as_strict(record: type[Record]) -> None:
    for node in nodes(strict_schema(record)):
        assert set(node) <= KEYWORDS
        if node.get("type") == "object":
            assert node["additionalProperties"] is False
            assert node["required"] == list(node["properties"])


def test_a_cell_is_a_list_of_six_operations() -> None:
    cell = strict_schema(ArchitectAnswer)["$defs"]["Choice"]["properties"]["cell"]
    assert (cell["minItems"], cell["maxItems"], len(cell["items"]["enum"])) == (6, 6, 5)

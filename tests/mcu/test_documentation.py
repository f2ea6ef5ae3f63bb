from pathlib import Path

import pytest
from pydantic import BaseModel

from automcu.mcu import profile

DOCUMENT = Path(__file__).parents[2] / "docs/profiles.md"
RECORDS = [
    value
    for value in vars(profile).values()
    if isinstance(value, type) and issubclass(value, BaseModel) and value is not profile.Record
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_every_key_of_a_profile_is_explained(record: type[BaseModel]) -> None:
    text = DOCUMENT.read_text()
    for key in record.model_fields:
        if key not in ("count", "bytes"):  # of flash_sectors: shown together as { count, bytes }
            assert f"`{key}`" in text or f"[{key}]" in text, key
    assert "{ count, bytes }" in text

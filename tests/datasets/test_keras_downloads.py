import sys
from types import ModuleType

import numpy as np
import pytest

from automcu.datasets.load import load_dataset
from automcu.errors import ToolError


def _pretend_keras(monkeypatch: pytest.MonkeyPatch, name: str, load: object) -> None:
    module = ModuleType(f"keras.datasets.{name}")
    module.load_data = load  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keras", ModuleType("keras"))
    monkeypatch.setitem(sys.modules, "keras.datasets", ModuleType("keras.datasets"))
    monkeypatch.setitem(sys.modules, f"keras.datasets.{name}", module)


def test_without_keras_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)
    monkeypatch.setitem(sys.modules, "keras.datasets.mnist", None)
    with pytest.raises(ToolError, match=r"pip install 'automcu\[tflite\]'"):
        load_dataset("mnist")


def test_a_failed_download_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> None:
        raise Exception("URL fetch failure on https://example.org: None -- timed out\ndetails")

    _pretend_keras(monkeypatch, "cifar10", load)
    with pytest.raises(ToolError) as caught:
        load_dataset("CIFAR-10")
    assert "timed out" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_keras_prints_does_not_reach_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load() -> None:
        print("Downloading")
        raise OSError("refused")

    _pretend_keras(monkeypatch, "mnist", load)
    with pytest.raises(ToolError, match="refused"):
        load_dataset("mnist")
    assert capsys.readouterr() == ("", "Downloading\n")


def test_the_column_of_labels_and_the_test_split_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.zeros((200, 32, 32, 3), dtype=np.uint8)
    labels = (np.arange(200) % 10).reshape(-1, 1)
    _pretend_keras(monkeypatch, "cifar10", lambda: ((pixels, labels), (pixels[:50], labels[:50])))
    dataset = load_dataset("cifar10")
    assert len(dataset.test.labels) == 50
    assert dataset.class_names[3] == "cat"
    assert dataset.train.labels.shape == (160,)

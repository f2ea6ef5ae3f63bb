import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automcu.report.record import (
    Findings,
    accuracy_warnings,
    data_warnings,
    interval,
    measurement_warnings,
)

NAMES = ("cat", "dog", "owl")


def test_a_good_accuracy_on_many_inputs_of_every_class_has_no_warning() -> None:
    assert accuracy_warnings(280, (100, 100, 100), (99, 101, 100), NAMES) == ()


@pytest.mark.parametrize(
    ("correct", "labels", "says"),
    [
        (36, (34, 33, 33), "The accuracy of 36.00 % cannot be told from chance"),
        (12, (34, 33, 33), "cannot be told from chance"),
        (97, (96, 2, 2), "always answering 'cat' would be right in 96.00 % of these 100 inputs."),
        (380, (340, 330, 330), "The accuracy of 38.00 % is hardly better than chance"),
        (0, (34, 33, 33), "cannot be told from chance"),
    ],
)
def test_an_accuracy_near_chance_says_so(correct: int, labels: tuple[int, ...], says: str) -> None:
    (sentence,) = accuracy_warnings(correct, labels, (1, 1, 1), NAMES)
    assert says in sentence


def test_chance_is_one_of_the_networks_classes_where_no_class_is_more_common() -> None:
    (sentence, _) = accuracy_warnings(30, (60, 60, 0, 0), (60, 60, 0, 0), ())
    assert "always answering '0' would be right in 50.00 %" in sentence


def test_fewer_than_fifty_inputs_are_reported_with_the_interval() -> None:
    sentence = (
        "Only 49 inputs were tested: the true accuracy is between 89 and 100 % (95 % confidence)."
    )
    assert sentence in accuracy_warnings(48, (17, 16, 16), (17, 16, 16), NAMES)
    assert accuracy_warnings(49, (17, 17, 16), (17, 17, 16), NAMES) == ()


def test_classes_that_are_never_answered_or_not_tested_are_named() -> None:
    (never,) = accuracy_warnings(80, (40, 40, 20), (55, 45, 0), NAMES)
    assert never == "The network never answers class 'owl', right for 20 of 100 inputs."
    (absent,) = accuracy_warnings(90, (50, 50, 0), (50, 50, 0), NAMES)
    assert absent == (
        "No input that was tested is of class 'owl': the accuracy says nothing about it."
    )


def test_one_class_alone_labels_of_no_class_and_a_single_output_are_no_result() -> None:
    assert accuracy_warnings(100, (100, 0, 0), (100, 0, 0), NAMES) == (
        "All 100 inputs are of class 'cat': one answer is always right.",
    )
    (foreign,) = accuracy_warnings(80, (30, 30, 30, 10), (30, 30, 40), NAMES)
    assert foreign.startswith("10 of 100 labels are of no class that the network, with 3 outputs")
    assert "single output" in accuracy_warnings(50, (50, 50), (100,), ())[0]


def test_many_classes_are_named_in_part() -> None:
    names = tuple(f"class{n}" for n in range(20))
    (sentence,) = accuracy_warnings(95, (10,) * 10 + (0,) * 10, (10,) * 10 + (0,) * 10, names)
    assert "'class10', 'class11', 'class12', 'class13', 'class14' and 5 more" in sentence


def test_data_without_examples_or_with_few_of_them_are_reported_before_the_run() -> None:
    assert data_warnings(NAMES, (90, 90, 90), (30, 30, 30), (30, 30, 30)) == ()
    found = data_warnings(NAMES, (90, 0, 90), (4, 4, 4), (30, 0, 10))
    assert found[0] == (
        "The training data have no example of class 'dog': the network cannot learn it."
    )
    assert "only 12 examples: one more right answer moves a network by 8.3 points" in found[1]
    assert found[2].startswith("The test data have no example of class 'dog'")
    assert "only 40 examples" in found[3]
    assert len(data_warnings(NAMES, (90, 0, 90), (4, 4, 4))) == 2


def test_a_measurement_without_labels_or_of_an_older_version_has_no_warning(
    findings: Findings,
) -> None:
    found = findings.measurement
    assert measurement_warnings(found, ()) == ()
    counted = found.model_copy(
        update={"accuracy": 0.1, "label_counts": (10, 10), "answer_counts": (20, 0)}
    )
    assert len(measurement_warnings(counted, ("a", "b"))) == 3


@given(st.integers(0, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_share_and_shrinks_with_the_number(
    counts: tuple[int, int],
) -> None:
    correct, total = counts
    low, high = interval(correct, total)
    assert 0.0 <= low <= high <= 1.0
    if total:
        assert low - 1e-9 <= correct / total <= high + 1e-9
        assert high - low <= 2 / math.sqrt(total)


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(sum),
    st.data(),
)
def test_every_count_gives_sentences_and_never_an_error(
    labels: list[int], data: st.DataObject
) -> None:
    classes = data.draw(st.integers(max(1, len(labels) - 1), len(labels)))
    answers = data.draw(st.lists(st.integers(0, 40), min_size=classes, max_size=classes))
    correct = data.draw(st.integers(0, sum(labels)))
    for sentence in accuracy_warnings(correct, labels, answers, NAMES):
        assert sentence.endswith(".") and "\n" not in sentence

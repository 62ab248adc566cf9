"""What is concluded from rows: planted rows, and the sentences that they may and may not give."""

from __future__ import annotations

import dataclasses

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from stepladder.analysis import analyse, held_epochs, worst_of_last
from stepladder.compare import Difference, by_image, by_seed
from stepladder.evaluate import evaluate, wilson
from stepladder.facts import verdict
from stepladder.ladder import Goal
from stepladder.published import place
from stepladder.runs import EpochRow, EpochTime, guide_log


def planted(evaluation: list[int], train: list[int] | None = None, count: int = 10_000) -> list[EpochRow]:
    """Return rows with these right answers of 10,000 test and 60,000 training images."""
    train = train or [6 * correct for correct in evaluation]
    return [
        EpochRow(epoch, 469, 0.1, 0.05, 0.04, seen, 60_000, "test", 0.03, correct, count)
        for epoch, (correct, seen) in enumerate(zip(evaluation, train, strict=True), start=1)
    ]


def remarks(*runs: list[EpochRow], parameters: int = 7496, **options: object) -> dict[str, str]:
    found = analyse(runs, parameters, Goal(), **options)  # type: ignore[arg-type]
    assert len({remark.kind for remark in found}) == len(found)
    return {remark.kind: remark.text for remark in found}


LEVEL = [9700, 9900, 9935, 9940, 9941, 9939, 9940, 9942, 9940, 9941]


def test_capacity_is_what_is_left_of_the_budget() -> None:
    assert "504 of the 8,000 are left (6%)" in remarks(planted(LEVEL))["capacity"]
    assert "not below the budget of 8,000" in remarks(planted(LEVEL), parameters=8000)["capacity"]


def test_training_above_test_is_overfitting_only_beyond_the_sampling_error() -> None:
    assert "overfitting" in remarks(planted(LEVEL, [59_900] * 10))
    close = remarks(planted(LEVEL, [59_680] * 10))  # 99.47% against 99.41%: within two standard errors
    assert "balanced" in close
    assert "overfitting" not in close
    below = remarks(planted(LEVEL, [58_900] * 10))
    assert "no sign of overfitting" in below["no overfitting"]


def test_a_rising_end_is_still_improving_and_a_level_one_is_not() -> None:
    assert "improving" in remarks(planted([9600, 9650, 9700, 9750, 9800, 9850, 9880]))
    assert "level" in remarks(planted(LEVEL))
    assert "declining" in remarks(planted([9900, 9900, 9901, 9902, 9850, 9849, 9851]))
    jumping = remarks(planted([9900, 9930, 9890, 9931, 9899, 9935, 9905]))
    assert "level" in jumping


def test_short_runs_claim_no_trend() -> None:
    found = remarks(planted([9600, 9800]))
    assert not {"improving", "level", "declining", "steadiness"} & found.keys()


def test_an_effect_is_better_or_worse_only_when_its_interval_leaves_out_zero() -> None:
    def effect(points: float, half: float) -> str:
        difference = Difference(points, points - half, points + half, "seed", 5)
        return remarks(planted(LEVEL), effect=difference, against="The basic skeleton")["effect"]

    assert effect(0.3, 0.1).endswith("better.")
    assert effect(-0.3, 0.1).endswith("worse.")
    assert effect(0.1, 0.2).endswith("no clear difference.")
    assert "“The basic skeleton”: +0.30 points (95% interval +0.20 to +0.40; 5 pairs of seeds)" in effect(0.3, 0.1)


def test_one_run_each_says_that_the_seed_is_not_in_the_interval() -> None:
    difference = Difference(0.3, 0.1, 0.5, "image", 10_000)
    text = remarks(planted(LEVEL), effect=difference, against="x")["effect"]
    assert "the luck of the seed is not in the interval" in text


def test_the_target_is_judged_on_every_seed() -> None:
    held = planted([9940] * 10)
    broken = planted([9940] * 7 + [9939, 9941, 9942])
    assert "is reached at the last epoch (99.40%), held through the last 10 epochs" in remarks(held)["target"]
    assert "1 of 2 seeds hold it" in remarks(held, broken)["target"]
    missed = remarks(planted([9939] * 10))["target"]
    assert "is not reached" in missed
    assert "held" not in missed
    assert "target" not in remarks(held, comparable=False)


def test_held_epochs_count_back_from_the_last() -> None:
    rows = planted([9950, 9930, 9940, 9941])
    assert held_epochs(rows, 99.4) == 2
    assert held_epochs(rows, 99.6) == 0
    assert worst_of_last(rows, 3) == pytest.approx(99.30)
    assert worst_of_last(rows, 100) == pytest.approx(99.30)


# --- verdict and place -----------------------------------------------------------------------------------------------


def final(parameters: int, *runs: list[int]) -> dict:
    rows = [planted(run) for run in runs]
    return {
        "parameters": parameters,
        "runs": [
            {"rows": run, "worst_of_last": worst_of_last(run, 5), "held_epochs": held_epochs(run, 99.4)} for run in rows
        ],
    }


@pytest.mark.parametrize(
    ("facts", "passes", "part"),
    [
        (final(7496, [9940] * 15), True, "The goal is met"),
        (final(8000, [9940] * 15), False, "parameters: 8,000, needed under 8,000"),
        (final(7496, [9940] * 14 + [9939]), False, "lowest 99.39%"),
        (final(7496, [9940] * 16), False, "epochs: 16, needed within 15"),
        (final(7496, [9950] * 15, [9940] * 11 + [9930] + [9950] * 3), False, "held by 1 of 2 seeds"),
    ],
)
def test_the_verdict(facts: dict, passes: bool, part: str) -> None:
    found = verdict(facts, Goal(), comparable=True, title="MNIST")
    assert found["passes"] is passes
    assert part in found["text"]


def test_the_sample_is_not_judged() -> None:
    found = verdict(final(7496, [9990] * 15), Goal(), comparable=False, title="MNIST sample (5,000 images)")
    assert found["passes"] is None
    assert "not judged" in found["text"]
    assert "MNIST sample (5,000 images)" in found["text"]
    assert verdict(final(9000, [9990] * 15), Goal(), comparable=False, title="x")["passes"] is False


def test_the_place_among_published_results() -> None:
    assert "no listed result reaches as much with as few parameters" in place(7496, 99.54, 5)
    beaten = place(7496, 99.50, 1)
    assert "adilsammar/woolly-of-cv (99.52%, 3,762 parameters" in beaten
    assert "(one run)" in beaten


# --- statistics ------------------------------------------------------------------------------------------------------


def test_pairs_by_image_count_only_images_that_differ() -> None:
    first = numpy.array([True] * 90 + [False] * 10)
    second = first.copy()
    second[90:96] = True
    second[0:2] = False
    difference = by_image(first, second)
    assert difference.points == pytest.approx(4)
    # b = 6, c = 2, n = 100: variance (8 - 16/100) / 100²
    assert difference.high - difference.points == pytest.approx(1.959964 * (8 - 0.16) ** 0.5, abs=1e-4)
    assert not difference.is_clear
    assert by_image(first, first).points == 0
    with pytest.raises(ValueError, match="cannot be paired"):
        by_image(first, second[:50])


def test_pairs_by_seed_use_students_interval() -> None:
    difference = by_seed([99.0, 99.1, 99.2], [99.2, 99.4, 99.3])
    assert difference.points == pytest.approx(0.2)
    # sd 0.1, t(0.975, 2) = 4.303
    assert difference.high == pytest.approx(0.2 + 4.3027 * 0.1 / 3**0.5, abs=1e-4)
    with pytest.raises(ValueError, match="at least two seeds"):
        by_seed([99.0], [99.1])


@given(st.integers(1, 5000), st.data())
def test_wilson_holds_the_share_and_stays_inside(count: int, data: st.DataObject) -> None:
    correct = data.draw(st.integers(0, count))
    interval = wilson(correct, count)
    assert 0 <= interval.low <= 100 * correct / count + 1e-9
    assert 100 * correct / count - 1e-9 <= interval.high <= 100


@pytest.mark.parametrize(("correct", "count"), [(9953, 10_000), (0, 10), (10, 10), (1, 3)])
def test_wilson_agrees_with_scipy(correct: int, count: int) -> None:
    expected = binomtest(correct, count).proportion_ci(method="wilson")
    assert wilson(correct, count).low == pytest.approx(100 * expected.low, abs=1e-9)
    assert wilson(correct, count).high == pytest.approx(100 * expected.high, abs=1e-9)


def test_evaluation_counts_by_hand() -> None:
    logits = numpy.array([[5, 0, 0], [0, 5, 0], [0, 9, 0], [1, 0, 0], [0, 0, 4]], dtype=numpy.float32)
    labels = numpy.array([0, 1, 0, 2, 2])
    found = evaluate(logits, labels)
    assert (found.correct, found.count) == (3, 5)
    assert found.confusion == ((1, 1, 0), (0, 1, 0), (1, 0, 1))
    assert [(one.index, one.label, one.predicted) for one in found.mistakes] == [(2, 0, 1), (3, 2, 0)]
    assert found.mistakes[0].predicted_probability > found.mistakes[1].predicted_probability
    assert [(one.correct, one.count) for one in found.classes] == [(1, 2), (1, 1), (1, 2)]


def test_the_log_has_the_guides_form() -> None:
    row = dataclasses.replace(planted([9953], [59_652])[0], last_batch_loss=0.0211, evaluation_loss=0.0174)
    assert guide_log(dataclasses.replace(row, epoch=15), EpochTime(38.4, 1.0)) == (
        "Epoch 15\n"
        "Train: Loss=0.0211 Batch_id=468 Accuracy=99.42: 100%|██████████| 469/469 [00:38<00:00, 12.21it/s]\n"
        "Test set: Average loss: 0.0174, Accuracy: 9953/10000 (99.53%)\n"
    )

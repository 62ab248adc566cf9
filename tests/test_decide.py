"""When a step is kept: laws of the rule, cases whose answer is known, its error rates, and its page."""

from __future__ import annotations

import json
from dataclasses import replace
from math import sqrt
from pathlib import Path

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import decision_pages
import decision_steps
import decision_worlds
import decisions
import stepladder.noise
from stepladder.compare import by_image
from stepladder.data import Dataset
from stepladder.decide import Candidate, Correctness, Decision, choose, decide, is_hopeless
from stepladder.errors import RunError, SpecError
from stepladder.looks import LEVEL_OF_A_LOOK, first_to_stand, is_given_up, second_level, worth_more_seeds
from stepladder.noise import LONE_SPREAD, RUN_SPREAD, noise
from stepladder.spec import Experiment
from stepladder.train import train

IMAGES = 10_000


def run(seed: int, wrong: range | list[int], count: int = IMAGES) -> Correctness:
    right = numpy.ones(count, dtype=bool)
    right[list(wrong)] = False
    return Correctness(seed, right)


def runs(*wrong: int, start: int = 0) -> tuple[Correctness, ...]:
    """Runs with the seeds 0, 1, … that get so many images wrong, from ``start`` on."""
    return tuple(run(seed, range(start, start + count)) for seed, count in enumerate(wrong))


# Three runs with 1% of errors, and three that are better by 0.6 points.
BASELINE, BETTER = runs(100, 104, 97), runs(40, 41, 39)

answers = st.integers(1, 4).flatmap(
    lambda seeds: st.lists(
        st.lists(st.sampled_from([(0, 0), (1, 1), (1, 1), (0, 1), (1, 0)]), min_size=30, max_size=30),
        min_size=seeds,
        max_size=seeds,
    )
)


def sides(table: list[list[tuple[int, int]]]) -> tuple[list[Correctness], list[Correctness]]:
    both = numpy.array(table, dtype=bool)
    return tuple([Correctness(seed, right) for seed, right in enumerate(both[..., side])] for side in (0, 1))


def numbers(decision: Decision) -> tuple[float, float, float]:
    return decision.points, decision.low, decision.high


def test_what_is_clearly_better_is_kept_and_what_changes_nothing_is_dropped() -> None:
    kept = decide(BASELINE, BETTER)
    assert (kept.verdict, kept.settles) == ("keep", None)
    assert kept.points == pytest.approx(100 * (301 - 120) / (3 * IMAGES))
    assert kept.reason.startswith("Kept: +0.60 points (90% interval +")
    assert "3 seeds, 10,000 images): better." in kept.reason
    assert decide(BETTER, BETTER).verdict == "drop"
    worse = decide(BETTER, BASELINE)
    assert worse.verdict == "drop"
    assert worse.reason.endswith(": worse.")


def test_what_could_be_either_is_undecided_and_says_what_would_settle_it() -> None:
    decision = decide(runs(100, 120, 90), runs(90, 80, 95))
    assert decision.verdict == "undecided"
    assert decision.low < 0
    assert decision.high > 0.2
    assert decision.settles is not None
    assert decision.settles.startswith("about ")
    assert str(decision) == f"{decision.reason} To settle it: {decision.settles}."
    lone = decide([run(0, range(9), 1000)], [run(0, range(9, 15), 1000)])
    assert "assumed, not measured" in lone.reason
    assert lone.settles == "about 2 more seeds, which measure how far runs lie apart"


def test_as_many_seeds_as_are_asked_for_settle_it_and_half_of_them_do_not() -> None:
    wrong = (runs(100, 120, 90), runs(90, 80, 95))
    settles = decide(*wrong).settles
    assert settles is not None
    more = int(settles.removeprefix("about ").split()[0])
    assert more == 6

    def with_more(seeds: int) -> str:
        """The verdict when the same three results come again and again."""
        return decide(*([Correctness(seed, side[seed % 3].right) for seed in range(seeds)] for side in wrong)).verdict

    assert with_more(6) == "undecided"
    assert with_more(9) == "keep"


def test_more_images_are_asked_for_where_seeds_cannot_help() -> None:
    before = tuple(run(seed, range(200)) for seed in range(5))
    after = tuple(run(seed, range(190, 380)) for seed in range(5))
    decision = decide(before, after)
    assert decision.verdict == "undecided"
    assert decision.settles is not None
    assert decision.settles.startswith("more images: whatever the seeds, these 10,000 leave 0.3")


def test_a_step_that_saves_is_kept_when_it_is_not_worse_by_the_margin() -> None:
    before, after = runs(50, 52, 51), runs(53, 52, 55)
    assert decide(before, after).verdict == "drop"  # nothing gained
    saving = decide(before, after, simpler="candidate")
    assert saving.verdict == "keep"
    assert "not worse by 0.20 points" in saving.reason
    assert decide(before, after, simpler="candidate", worthwhile=0.01).verdict == "undecided"
    lost = decide(BETTER, BASELINE, simpler="candidate")
    assert (lost.verdict, lost.reason.endswith("worse by more than 0.20 points.")) == ("drop", True)


@settings(max_examples=60, deadline=None)
@given(answers)
def test_swapping_the_two_turns_the_difference_round(table: list[list[tuple[int, int]]]) -> None:
    before, after = sides(table)
    there, back = decide(before, after), decide(after, before)
    assert numbers(back) == pytest.approx((-there.points, -there.high, -there.low))
    assert {there.verdict, back.verdict} != {"keep"}


@settings(max_examples=60, deadline=None)
@given(answers, st.randoms(use_true_random=False))
def test_neither_the_order_of_images_nor_that_of_runs_matters(table: list[list[tuple[int, int]]], random) -> None:
    before, after = sides(table)
    order = list(range(30))
    random.shuffle(order)
    moved = [[replace(one, right=one.right[order]) for one in side] for side in (before, after)]
    random.shuffle(moved[1])
    assert numbers(decide(*moved)) == pytest.approx(numbers(decide(before, after)))


@settings(max_examples=60, deadline=None)
@given(answers)
def test_equal_runs_are_never_kept_and_a_loss_made_good_never_hurts(table: list[list[tuple[int, int]]]) -> None:
    before, after = sides(table)
    assert decide(before, before).verdict != "keep"
    lost = numpy.array([one.right & ~other.right for one, other in zip(before, after, strict=True)]).all(0)
    gained = sum(int(other.right.sum()) - int(one.right.sum()) for one, other in zip(before, after, strict=True))
    if lost.any() and gained >= 0:
        repaired = [replace(one, right=one.right | (numpy.arange(30) == lost.argmax())) for one in after]
        assert decide(before, repaired).low > decide(before, after).low


@settings(max_examples=40, deadline=None)
@given(answers, st.floats(0.01, 5), st.floats(0.01, 5))
def test_a_larger_margin_and_a_laxer_level_never_undo_a_keep(
    table: list[list[tuple[int, int]]], one: float, other: float
) -> None:
    before, after = sides(table)
    small, large = sorted((one, other))
    if decide(before, after, simpler="candidate", worthwhile=small).verdict == "keep":
        assert decide(before, after, simpler="candidate", worthwhile=large).verdict == "keep"
    if decide(before, after, level=0.01).verdict == "keep":
        assert decide(before, after, level=0.05).verdict == "keep"


def test_with_one_seed_the_noise_of_images_is_that_of_paired_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wald's variance, n - 1 for n, with one image more gained and one more lost; the interval is the normal one."""
    monkeypatch.setattr(stepladder.noise, "LONE_SPREAD", 0.0)
    before, after = run(0, range(60)), run(0, range(40, 75))
    ours, wald = decide([before], [after], level=0.025), by_image(before.right, after.right)
    assert ours.points == pytest.approx(wald.points)
    variance = ((wald.high - wald.low) / 2 / stats.norm.ppf(0.975)) ** 2 * IMAGES / (IMAGES - 1)
    assert ours.image_error == pytest.approx(sqrt(variance + 100**2 * 2 / IMAGES**2))
    assert (ours.high - ours.low) / 2 == pytest.approx(stats.norm.ppf(0.975) * ours.image_error)


def test_where_only_seeds_differ_it_is_students_paired_t(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepladder.noise, "PRIOR_SEEDS", 0)
    # Other images in every seed: nothing that the recipes disagree about stays the same, so images add next to nothing.
    generator = numpy.random.default_rng(4)
    before, after = (
        [run(seed, generator.choice(IMAGES, count, replace=False)) for seed, count in enumerate(counts)]
        for counts in ((300, 420, 250, 510), (200, 230, 240, 190))
    )
    ours = decide(before, after)
    shares = [[100 * one.right.mean() for one in side] for side in (after, before)]
    theirs = stats.ttest_rel(*shares).confidence_interval(0.9)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=0.03)


def test_the_noise_is_that_of_a_two_way_table() -> None:
    generator = numpy.random.default_rng(1)
    chance = generator.random(500) * 0.5 + 0.3
    before, after = generator.random((4, 500)) < chance, generator.random((4, 500)) < chance + 0.2
    table = after.astype(float) - before
    wrong = (~numpy.array([before, after])).sum((1, 2))
    found = noise(table.astype(numpy.int8), wrong, 500)
    by_seed, by_image_ = table.mean(1, keepdims=True), table.mean(0, keepdims=True)
    rest = ((table - by_seed - by_image_ + table.mean()) ** 2).sum() / (3 * 499)
    images = max(table.mean(0).var(ddof=1) - rest / 4, 0) / 500 + 2 / (500**2 * 4)
    assert found.difference == pytest.approx(table.mean())
    assert found.of_images == pytest.approx(images)
    # These seeds lie closer together than is to be expected: three degrees of freedom, and one of the assumption.
    expected = rest / 500 + RUN_SPREAD**2 * (((wrong + 1) / 2002) ** 2).sum()
    assert table.mean(1).var(ddof=1) < expected
    assert found.of_seeds == pytest.approx((3 * table.mean(1).var(ddof=1) + expected) / 4)
    seeds = found.of_seeds / 4
    assert found.freedom == pytest.approx((seeds + images) ** 2 / (seeds**2 / 4))
    assert found.error == pytest.approx(sqrt(seeds + images))


def test_seeds_that_lie_far_apart_are_taken_as_they_are() -> None:
    far, near = runs(100, 400, 250), runs(100, 101, 99)
    table = numpy.array([one.right for one in near], dtype=numpy.int8) - [one.right for one in far]
    assert noise(table, numpy.array([750, 300]), IMAGES).of_seeds == pytest.approx(table.mean(1).var(ddof=1))


def test_the_chance_and_the_interval_say_the_same() -> None:
    table = numpy.array([one.right for one in BETTER], dtype=numpy.int8) - [one.right for one in BASELINE]
    found = noise(table, numpy.array([301, 120]), IMAGES)
    low = float(found.difference - found.half(0.03))
    assert found.chance(low) == pytest.approx(0.03)
    assert found.chance(low - 0.001) < 0.03 < found.chance(low + 0.001)


def test_images_on_which_all_agree_may_be_left_out() -> None:
    both = numpy.stack([[one.right for one in side] for side in (BASELINE, BETTER)])
    table, wrong = both[1].astype(numpy.int8) - both[0], (~both).sum((1, 2))
    whole, part = noise(table, wrong, IMAGES), noise(table[:, :150], wrong, IMAGES)
    assert whole.error == pytest.approx(part.error)
    assert whole.half(0.05) == pytest.approx(part.half(0.05))


def candidate(name: str, runs: tuple[Correctness, ...], parameters: int, macs: int = 0) -> Candidate:
    return Candidate(name, runs, parameters, macs)


def test_of_equally_good_candidates_the_cheapest_is_taken() -> None:
    before = candidate("plain", BASELINE, 5_000)
    a, b = candidate("a", BETTER, 7_000, 9), candidate("b", runs(38, 41, 38), 7_500)
    choice = choose(before, [b, a])
    assert choice.taken == "a"
    assert "cheaper than b, which is not clearly better" in choice.reason
    same = replace(a, name="fewer MACs", macs=8)
    assert choose(before, [a, same]).taken == "fewer MACs"
    assert choose(before, [a, replace(a, name="later")]).taken == "a"  # then the order of the ladder
    far = candidate("far better", runs(1, 2, 1), 7_900)
    assert choose(before, [a, far]).taken == "far better"
    assert choose(before, [a]).reason == "a is taken: the only one kept."


def test_why_the_best_is_taken_is_true_whether_or_not_a_cheaper_one_was_kept() -> None:
    before = candidate("plain", BASELINE, 5_000)
    best, good = candidate("best", runs(1, 2, 1), 7_900), candidate("good", BETTER, 7_000)
    reason = "best is taken: the best of those kept"
    assert choose(before, [best, good]).reason == f"{reason}, and clearly better than what is cheaper: good."
    dearer, as_dear = replace(good, parameters=8_500), replace(good, name="as dear", parameters=7_900)
    assert choose(before, [best, dearer, as_dear]).reason == f"{reason}, none of which is cheaper."


def test_the_costlier_one_has_to_be_clearly_better_at_the_level_of_its_comparisons() -> None:
    cheap = candidate("cheap", BETTER, 5_000)
    best = next(
        candidate("best", better, 7_000)
        for count in range(40, 0, -1)
        if decide(BETTER, better := runs(count, count, count - 1), level=0.05).verdict == "keep"
    )
    assert decide(BETTER, best.runs, level=0.025).verdict != "keep"
    before = candidate("plain", runs(400, 410, 390), 5_000)
    assert choose(before, [cheap, best]).taken == "best"
    # Among three the best is one of two that could have come out ahead by luck.
    assert choose(before, [cheap, best, replace(cheap, name="third", parameters=6_000)]).taken == "cheap"


def test_nothing_kept_means_that_the_baseline_stays() -> None:
    choice = choose(candidate("plain", BETTER, 5_000), [candidate("worse", BASELINE, 7_000)])
    assert choice.taken == "plain"
    assert list(choice.decisions) == ["worse"]
    assert str(choice).startswith("plain stays: no candidate is kept.\nworse: Dropped")
    open_one = choose(candidate("plain", runs(100, 120, 90), 5_000), [candidate("x", runs(90, 80, 95), 5_000)])
    assert "x undecided" in open_one.reason


def test_a_candidate_with_fewer_parameters_only_has_to_be_no_worse() -> None:
    small = candidate("smaller", runs(41, 43, 40), 3_000)
    assert choose(candidate("plain", BETTER, 5_000), [small]).taken == "smaller"
    assert choose(candidate("plain", BETTER, 5_000), [replace(small, parameters=5_000)]).taken == "plain"


def test_several_candidates_have_to_pass_holms_levels() -> None:
    from stepladder.decide import _holm

    # 0.05 / 4 is passed, 0.05 / 3 is not, and what comes after that cannot pass.
    assert _holm([0.02, 0.2, 0.01, 0.03], [1, 1, 1, 1], 0.05) == pytest.approx([0.05 / 3, 0.05 / 3, 0.05 / 4, 0.05 / 3])
    assert _holm([0.01], [1], 0.05) == [0.05]
    # Weights share the chance: the joined one of three has half of it. When it has passed, the others have all.
    assert _holm([0.024, 0.04, 0.01], [2, 1, 1], 0.05) == pytest.approx([0.05 * 2 / 3, 0.05, 0.05 / 4])
    assert _holm([0.03, 0.04, 0.2], [2, 1, 1], 0.05) == pytest.approx([0.025, 0.0125, 0.0125])
    chances = numpy.array([[0.02, 0.2, 0.01, 0.03], [0.001, 0.002, 0.003, 0.2]])
    passed, levels = decision_steps.holm(chances)
    assert passed.tolist() == [[False, False, True, False], [True, True, True, False]]
    assert levels[0].tolist() == pytest.approx([0.05 / 3, 0.05 / 3, 0.05 / 4, 0.05 / 3])
    # Useless companions make the interval wider, and Holm's level is said with it.
    alone = choose(candidate("plain", BASELINE, 1), [candidate("x", runs(80, 85, 70), 1)]).decisions["x"]
    others = [candidate(f"useless {number}", BASELINE, 1) for number in range(3)]
    beside = choose(candidate("plain", BASELINE, 1), [candidate("x", runs(80, 85, 70), 1), *others]).decisions["x"]
    assert beside.level == 0.05 / 4
    assert beside.low < alone.low
    assert "97.5% interval" in beside.reason


def first_seeds(one: Candidate, count: int) -> Candidate:
    return replace(one, runs=one.runs[:count])


@pytest.mark.parametrize("joined", [False, True])
def test_the_simulated_step_of_a_climb_keeps_what_the_climb_would(joined: bool) -> None:
    steps, many, seeds, images = 60, 5, 4, 2_000
    numbers = numpy.random.default_rng(1)
    hard = numbers.random((steps, 1, 1, images)) ** 8 * 0.5
    # The candidates, what stands (the last), and at times a candidate that is clearly better or worse.
    share = numbers.choice([0.4, 0.8, 1.0, 1.0, 1.3], (steps, many + 1, 1, 1))
    wrong = numbers.random((steps, many + 1, seeds, images)) < hard * share
    stands, others = wrong[:, -1], wrong[:, :-1]
    answers = stands[:, None].astype(numpy.int8) - others.astype(numpy.int8)
    batch = decision_worlds.Batch(answers, stands.sum(-1), others.sum(-1))
    asked = [0, 1, 2, 3]
    simulated = decision_steps.climbed(batch, asked, 2, images, joined=4 if joined else None)
    looked_again = 0
    for step in range(steps):
        plain = Candidate("plain", tuple(Correctness(seed, ~stands[step, seed]) for seed in range(seeds)), 1)
        everyone = [
            Candidate(str(n), tuple(Correctness(seed, ~others[step, n, seed]) for seed in range(seeds)), 1)
            for n in range(many)
        ]
        left = [one for one in everyone[:4] if not is_given_up(first_seeds(plain, 1), first_seeds(one, 1))]
        lost = [first_seeds(one, 1) for one in everyone[:4] if one not in left]
        gaining = [one for one in left if answers[step, int(one.name), :2].sum() > 0]
        if joined and len(gaining) > 1:
            left.append(replace(everyone[4], weight=4))

        twice = [first_seeds(one, 2) for one in left]
        choice = choose(first_seeds(plain, 2), [*twice, *lost], level=LEVEL_OF_A_LOOK)
        names = {one.name for one in worth_more_seeds(first_seeds(plain, 2), [*twice, *lost], choice)}
        if names:
            looked_again += 1
            choice = choose(plain, [one for one in left if one.name in names], level=second_level(4 - len(lost)))
        kept = sorted(name for name, decision in choice.decisions.items() if decision.verdict == "keep")
        assert [str(number) for number in simulated[step].nonzero()[0]] == kept
    assert 5 < looked_again < steps
    assert 5 < simulated.any(-1).sum() < steps


def test_the_second_look_is_stricter_where_there_was_much_to_choose_from() -> None:
    assert second_level(1) == second_level(4) == LEVEL_OF_A_LOOK
    assert second_level(8) == LEVEL_OF_A_LOOK / 2


def test_where_nothing_stands_the_best_does_or_one_that_is_as_good_and_cheaper() -> None:
    assert first_to_stand([(98.0, 7000, 100), (98.5, 7500, 200), (97.0, 1000, 10)]) == 1
    assert first_to_stand([(98.45, 7000, 100), (98.5, 7500, 200)]) == 0
    assert first_to_stand([(98.45, 7600, 100), (98.5, 7500, 200)]) == 1, "more parameters"
    assert first_to_stand([(98.45, 7000, 100), (98.5, 7500, 200), (98.48, 7200, 90)]) == 2
    assert first_to_stand([(98.48, 7000, 100), (98.5, 7000, 100)]) == 1, "of equally cheap ones the more accurate"
    assert first_to_stand([(-1.0, 7000, 100), (-1.0, 7500, 200)]) == 0


def test_one_seed_gives_up_what_is_far_worse_and_nothing_that_may_be_worth_something() -> None:
    one = BASELINE[:1]
    assert is_hopeless(one, runs(300))
    assert not is_hopeless(one, runs(105))
    assert not is_hopeless(one, runs(60))
    # A smaller net may lose the margin: 20 of 10,000 images.
    assert is_hopeless(one, runs(130))
    assert not is_hopeless(one, runs(130), simpler="candidate")
    # The verdict on one seed takes runs to lie further apart, and says that nothing is settled.
    assert decide(one, runs(130)).verdict == "undecided"


def test_one_that_was_given_up_is_dropped_never_kept_and_costs_the_others_nothing() -> None:
    good = candidate("good", runs(80, 85, 70), 1)
    lost = candidate("lost", runs(600), 1)
    choice = choose(candidate("plain", BASELINE, 1), [good, lost])
    assert choice.decisions["lost"].verdict == "drop"
    assert choice.decisions["lost"].seeds == 1
    assert choice.decisions["good"] == choose(candidate("plain", BASELINE, 1), [good]).decisions["good"]
    perfect = candidate("perfect", runs(0), 1)
    assert choose(candidate("plain", BASELINE, 1), [perfect]).taken == "plain"


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ([], [], "one run of each seed"),
        (BASELINE, BETTER[:2], r"seeds \[0, 1, 2\] and \[0, 1\]"),
        ([BASELINE[0], BASELINE[0]], BETTER[:2], "one run of each seed"),
        (BASELINE[:1], [run(0, range(9), 500)], "10,000 images; 500 images"),
        (BASELINE[:1], [replace(BETTER[0], images="other")], "the same holdout"),
    ],
)
def test_runs_that_cannot_be_paired_are_refused(before: list, after: list, message: str) -> None:
    with pytest.raises(RunError, match=message):
        decide(before, after)


def test_numbers_out_of_range_and_names_twice_are_refused() -> None:
    for wrong in ({"worthwhile": 0}, {"level": 0.5}, {"level": 0}):
        with pytest.raises(SpecError, match="worthwhile"):
            decide(BASELINE, BETTER, **wrong)
    plain = candidate("plain", BASELINE, 1)
    for several in ([], [plain]):
        with pytest.raises(SpecError, match="names that differ"):
            choose(plain, several)


def test_what_a_run_got_right_is_read_from_its_folder(tmp_path: Path, tiny: Dataset) -> None:
    for protocol in ("holdout", "reference"):
        values = {
            "net": "4C3 MP2 GAP 10F",
            "recipe": {"epochs": 1},
            "protocol": protocol,
            "holdout_size": 40,
            "seed": 3,
        }
        rows = [row for row, _ in train(Experiment.read(values, "here"), tiny, tmp_path / protocol, threads=1)]
        if protocol == "holdout":
            found = Correctness.read(tmp_path / protocol)
            assert (found.seed, int(found.right.sum())) == (3, rows[-1].evaluation_correct)
            assert found.images.endswith("40 held out")
            assert decide([found], [found]).images == 40
    with pytest.raises(RunError, match="the test set decides nothing"):
        Correctness.read(tmp_path / "reference")


def test_simulated_runs_are_what_they_are_said_to_be() -> None:
    """Error rates, and how often runs of one recipe agree: the few easy images that are counted are no loss."""
    world = decision_worlds.World("here", 0.02, difficulty=2.0, taste=0.5, luck=0.1)
    batches = list(
        decision_worlds.simulate(
            world, effects=(0.01,), seeds=2, count=2_000, steps=400, numbers=numpy.random.default_rng(0)
        )
    )
    baseline = numpy.concatenate([batch.baseline_wrong for batch in batches]) / 2_000
    better = numpy.concatenate([batch.candidate_wrong[:, 0] for batch in batches]) / 2_000
    assert baseline.mean() == pytest.approx(0.02, rel=0.03)
    assert better.mean() == pytest.approx(0.01, rel=0.04)
    answers = numpy.concatenate([batch.answers[:, 0].sum(-1) for batch in batches]) / 2_000
    assert answers == pytest.approx(baseline - better)


def test_a_world_is_fitted_to_what_the_runs_show() -> None:
    generator = numpy.random.default_rng(7)
    depth = generator.standard_normal(200_000) * 2.0
    taste = generator.standard_normal((2, 200_000)) * 0.5
    sums = depth + taste[:, None] + generator.standard_normal((2, 6, 200_000)) - 5.0
    world = decision_worlds.fit("here", *(sums > 0))
    assert (world.difficulty, world.taste) == pytest.approx((2.0, 0.5), abs=0.1)
    assert world.luck < 0.05
    assert decision_worlds.both_wrong(0.3, 0.3, 0.0) == pytest.approx(0.09)


def test_a_useless_technique_is_kept_in_at_most_one_of_twenty_steps_and_a_better_one_more_often() -> None:
    steps = 400
    for world in decisions.worlds(decisions.real_runs()):
        batches = decision_worlds.simulate(
            world,
            effects=(0.0, 0.002, 0.005),
            seeds=5,
            count=1_000,
            steps=steps,
            numbers=numpy.random.default_rng(3),
        )
        chances = numpy.concatenate([noise(batch.answers, batch.wrong(5), 1_000).chance() for batch in batches])
        useless, some, more = (chances < 0.05).mean(0)
        assert useless <= 0.05 + 3 * sqrt(0.05 * 0.95 / steps)
        assert useless < some < more


def test_the_assumed_spread_of_one_seed_is_the_largest_measured() -> None:
    found = [decision_worlds.moments(wrong) for wrong in decisions.real_runs().values()]
    assert round(max(one.luck / one.error for one in found), 2) == LONE_SPREAD


def test_the_pages_show_the_rows_and_the_rows_keep_the_promise() -> None:
    rows = [json.loads(line) for line in decisions.ROWS.read_text(encoding="utf-8").splitlines()]
    assert decision_pages.page(rows) == decision_pages.PAGE.read_text(encoding="utf-8")
    figures = decision_pages.BEGIN + decision_pages.figures(rows) + decision_pages.END
    document = decision_pages.DOCS.read_text(encoding="utf-8")
    assert figures in document
    assert f"a spread of {RUN_SPREAD:g}\nof the error rate" in document
    assert f"{LONE_SPREAD:g} of the error rate" in document
    useless = [row for row in rows if row.get("what") == "kept" and row["effect"] == 0]
    assert len(useless) == 4 * 2 * 5 * 2  # worlds, images, seeds, one candidate or four
    useless += [row for row in rows if row.get("what") == "useless kept, losers stopped"]
    assert len(useless) == 4 * 2 * 5 * 3
    useless += [row for row in rows if row.get("what") == "useless kept by a climb"]
    assert len(useless) == 4 * 2 * (5 * 3 + 2 * 5)  # after both looks, at 2 and at 3 seeds, of 1, 4 and 7, some joined
    for row in useless:
        assert row["of"] >= 5_000
        assert decision_pages.share(row) <= 5 + 300 * sqrt(0.05 * 0.95 / row["of"])

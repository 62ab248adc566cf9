"""Each rule by itself: what it needs to speak, what it proposes, and what keeps it quiet."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from made_facts import IMAGE, NET, epochs, facts, state
from stepladder.advice import advise
from stepladder.commands.common import read_experiment
from stepladder.diagnosis.values import AugmentationEffect, Confusion, Doubt, Facts, LabelFacts, RangeFacts, Score
from stepladder.notation import Net
from stepladder.options import given_options
from stepladder.rules import RULES, Advice
from stepladder.rules import base as rules_base
from stepladder.rules.base import settings, train_command
from stepladder.rules.rate_shifts import SHIFTS, STAYS, shifts_rate
from stepladder.spec import Experiment


def first(told: Facts) -> Advice:
    return advise(told)[0]


def alarms(told: Facts) -> list[str]:
    return [one.technique for one in advise(told) if one.kind == "alarm"]


def test_a_sound_run_gets_no_advice_at_all() -> None:
    assert advise(facts(train=99.6, holdout=99.3)) == []


def test_a_gap_without_augmentation_is_an_idea_and_no_alarm() -> None:
    told = first(facts(recipe={"augmentation": {}}, train=99.6, holdout=98.1))
    assert (told.kind, told.technique) == ("idea", "augmentation")
    assert told.change is not None
    assert told.change.recipe.augmentation.rotation == 7
    assert "a gap of 1.5 points" in told.evidence


def test_near_the_top_a_small_gap_is_a_good_part_of_what_is_left() -> None:
    (told,) = (one for one in advise(facts(recipe={"augmentation": {}}, train=99.7, holdout=99.4)))
    assert (told.technique, told.kind) == ("augmentation", "idea")
    assert told.effect == (0.0, 0.21)
    assert advise(facts(recipe={"augmentation": {}}, train=99.5, holdout=99.4)) == []


def test_a_gap_of_many_points_is_an_alarm() -> None:
    assert alarms(facts(recipe={"augmentation": {}}, train=99.6, holdout=90.0)) == ["augmentation"]


def test_steps_larger_than_the_weights_lower_the_rate_to_what_the_range_test_suggests() -> None:
    wild = facts(recipe={"learning_rate": 10}, train=10.0, holdout=10.0, first=(state(update=30.0), state(update=80.0)))
    told = first(wild)
    assert (told.technique, told.kind) == ("learning rate", "alarm")
    assert told.change is not None
    assert told.change.recipe.learning_rate == 0.05
    assert "move the weights by 55 times their own size" in told.evidence
    assert "33 times the highest rate" in told.evidence


def test_without_a_range_test_the_rate_follows_from_the_size_of_the_steps() -> None:
    wild = facts(recipe={"learning_rate": 10}, train=10.0, holdout=10.0, first=(state(update=40.0),), range_test=None)
    change = first(wild).change
    assert change is not None
    assert change.recipe.learning_rate == pytest.approx(10 * 0.2 / 40)


def test_a_run_whose_loss_is_no_number_any_more_is_told_a_lower_rate() -> None:
    failed = facts(failure="the loss became nan in epoch 1, step 3; the step was not taken", train=0, epochs=())
    told = first(replace(failed, train=None, holdout=None))
    assert told.technique == "learning rate"
    assert "the loss became nan in epoch 1, step 3" in told.evidence


def test_tiny_steps_raise_the_rate() -> None:
    slow = facts(recipe={"learning_rate": 0.001}, train=81.0, holdout=80.0, first=(state(update=0.004),) * 2)
    told = first(slow)
    assert (told.technique, told.title) == ("learning rate", "Raise the learning rate to 0.05")


def test_muons_rate_for_matrices_moves_in_proportion() -> None:
    slow = facts(recipe={"optimiser": "muon", "learning_rate": 0.001, "matrix_rate": 0.0004}, train=81.0, holdout=80.0)
    change = first(replace(slow, first=(state(update=0.004),) * 2)).change
    assert change is not None
    assert (change.recipe.learning_rate, change.recipe.matrix_rate) == (0.05, 0.02)


def test_tiny_steps_at_the_rate_of_the_range_test_are_left_alone() -> None:
    tiny = facts(train=98.2, holdout=93.8, recipe={"learning_rate": 0.05}, first=(state(update=0.003),))
    suggested = RangeFacts(suggested=0.02, highest=0.3, learns=True)
    assert "learning rate" not in [one.technique for one in advise(replace(tiny, range_test=suggested))]
    assert "learning rate" in [one.technique for one in advise(replace(tiny, range_test=None))]


def test_no_rate_is_high_enough_where_the_signal_fades() -> None:
    deep = facts(
        net="[ReLU] 8C3p1 8C3p1 8C3p1 MP2 8C3p1 8C3p1 8C3p1 GAP 10C1",
        train=10.0,
        holdout=10.0,
        first=(state(spread=0.5, update=1e-6), state(spread=1e-5, update=1e-6)),
        range_test=RangeFacts(1.0, 10.0, learns=False),
    )
    assert alarms(deep) == ["batch normalisation"]
    change = first(deep).change
    assert change is not None
    assert change.net == "8C3p1 8C3p1 8C3p1 MP2 8C3p1 8C3p1 8C3p1 GAP 10C1"


def test_pixels_from_0_to_255_are_standardised_first_even_where_the_rate_is_too_high_for_them() -> None:
    raw = facts(
        net="[ReLU] 8C3 MP2 16C3 MP2 10F",
        recipe={"inputs": "raw"},
        train=10.0,
        holdout=10.0,
        input_mean=35.2,
        input_deviation=80.6,
        range_test=RangeFacts(0.001, 0.003, learns=True),
    )
    told = first(raw)
    assert told.technique == "input normalisation"
    assert told.change is not None
    assert told.change.recipe.inputs == "standardised"
    assert "learning rate" in alarms(raw)


def test_labels_without_information_are_doubted_before_anything_else() -> None:
    guess = LabelFacts(3000, 9.5, 0.0, 0.0, 0.0, ())
    told = first(facts(train=16.0, holdout=9.3, labels=guess))
    assert (told.technique, told.change) == ("labels", None)
    # Where neighbours know nothing no label is doubted, so a table of doubtful ones would be empty.
    assert told.command.startswith("stepladder preflight ")
    assert told.command.endswith("--sheet inputs.png")
    # The same net with labels that neighbours can tell: something else is wrong.
    assert "labels" not in alarms(facts(train=16.0, holdout=9.3))
    # And where the net tells what neighbours cannot, labels are right.
    assert "labels" not in alarms(facts(train=99.0, holdout=98.0, labels=guess))


def test_of_uneven_classes_the_largest_share_is_what_guessing_gives() -> None:
    few = facts(
        recipe={"epochs": 2},
        train=95.0,
        holdout=95.0,
        classes=("0", "1"),
        largest=95.0,
        steps=20,
        epochs=epochs([0.2, 0.2], 95.0),
        labels=LabelFacts(3000, 95.0, 0.0, 0.0, 0.0, ()),
    )
    told = first(few)
    assert told.technique == "labels"
    assert "always names the largest class is right in 95.0%" in told.evidence
    assert "epochs" not in alarms(few), (
        "a net that only guesses has learned nothing that longer training could go on with"
    )


def test_labels_that_net_and_neighbours_contradict_are_doubted() -> None:
    labels = LabelFacts(3000, 83.0, 0.078, 0.038, 0.034, (Doubt(4, "1", "7"),))
    told = first(facts(train=90.0, holdout=89.0, labels=labels))
    assert told.technique == "labels"
    assert told.command == "stepladder advise runs/mine --doubtful doubtful.csv"
    assert "3.4% are given another class by both" in told.evidence


def test_labels_that_a_net_learned_by_heart_are_doubted_for_their_neighbours_alone() -> None:
    labels = LabelFacts(3000, 83.0, 0.078, 0.0, 0.0, ())
    assert alarms(facts(train=100.0, holdout=89.0, labels=labels)) == ["labels"]
    assert alarms(facts(train=95.0, holdout=94.0, labels=labels)) == []
    assert alarms(facts(train=100.0, holdout=94.0, labels=labels)) == [], "fewer mistakes than labels outvoted"
    assert alarms(facts(train=100.0, holdout=89.0, labels=replace(labels, neighbours=75.0))) == [], "they know little"


def test_flips_that_turn_one_class_into_another_are_taken_back() -> None:
    flipped = AugmentationEffect(
        "vertical_flip",
        "50%",
        accuracy=97.0,
        neighbours=30.0,
        lookalike=0.21,
        confusions=(Confusion("5", "2", 35, 100),),
    )
    told = first(
        facts(
            recipe={"augmentation": {"vertical_flip": 0.5, "shift": 1}},
            train=98.0,
            holdout=97.0,
            augmentation=(flipped,),
        )
    )
    assert told.technique == "augmentation"
    assert told.change is not None
    assert told.change.recipe.augmentation.vertical_flip == 0
    assert told.change.recipe.augmentation.shift == 1
    assert "35% of the images of 5 look like 2" in told.evidence


def test_small_rotations_and_scattered_lookalikes_stay() -> None:
    mild = AugmentationEffect("rotation", "7°", 99.0, 92.0, 0.03, (Confusion("2", "1", 5, 100),))
    scattered = replace(mild, lookalike=0.2, confusions=(Confusion("2", "1", 12, 100),))
    shifted = replace(scattered, kind="shift", confusions=(Confusion("7", "1", 60, 100),))
    assert alarms(facts(augmentation=(mild, scattered, shifted))) == []


def test_a_limit_at_which_the_net_is_lost_comes_down() -> None:
    far = AugmentationEffect("shift", "8 px", 70.0, 20.0, 0.1, ())
    change = first(facts(recipe={"augmentation": {"shift": 8}}, augmentation=(far,))).change
    assert change is not None
    assert change.recipe.augmentation.shift == 1


def test_two_classes_with_most_of_the_mistakes_are_to_be_looked_at() -> None:
    pairs = (
        Confusion("9", "4", 18, 100),
        Confusion("4", "9", 10, 100),
        Confusion("7", "1", 4, 100),
        Confusion("5", "3", 1, 100),
    )
    told = next(one for one in advise(facts(holdout=95.0, confusions=pairs)) if one.technique == "confused classes")
    assert (told.kind, told.change) == ("idea", None)
    assert told.title == "Look at what 4 and 9 have in common"
    assert "28 of 50 mistakes" in told.evidence
    assert "18 of 100 images of 9 are taken for 4, 10 of 100 images of 4 are taken for 9" in told.evidence
    assert told.effect == (0.0, 1.4), "half of the 2.8 points that the two cost"
    assert told.command == "stepladder draw runs/mine --kind errors --output errors.png"


@pytest.mark.parametrize(
    ("holdout", "pairs"),
    [
        (99.4, (Confusion("9", "4", 2, 100), Confusion("4", "9", 1, 100))),  # three of six may be luck
        (99.6, (Confusion("9", "4", 2, 100), Confusion("4", "9", 2, 100))),  # so may four of four: the largest of 45
        (95.0, (Confusion("9", "4", 8, 100), Confusion("7", "1", 7, 100), Confusion("5", "3", 7, 100))),
        (10.0, (Confusion("9", "4", 500, 500), Confusion("3", "4", 400, 400))),  # all are taken for one class
    ],
)
def test_mistakes_that_are_few_scattered_or_everywhere_name_no_pair(
    holdout: float, pairs: tuple[Confusion, ...]
) -> None:
    said = advise(facts(holdout=holdout, confusions=pairs))
    assert "confused classes" not in [one.technique for one in said]


def test_one_step_an_epoch_asks_for_smaller_batches() -> None:
    told = first(facts(recipe={"batch_size": 3000}, train=10.0, holdout=10.0, steps=1))
    assert told.technique == "batch size"
    assert told.change is not None
    assert told.change.recipe.batch_size == 64


def test_two_epochs_are_too_few() -> None:
    told = first(facts(recipe={"epochs": 2}, train=92.0, holdout=92.0, epochs=epochs([1.7, 0.5], 85.0)))
    assert told.technique == "epochs"
    assert told.change is not None
    assert told.change.recipe.epochs == 8
    assert told.cost == "4.0 times the training time"


def test_what_a_run_did_not_learn_that_a_climb_cut_short_is_no_alarm() -> None:
    """Two of ten epochs: what the final runs learn in all of them nobody knows from these."""

    def said(told: Facts) -> dict[str, str]:
        return {one.technique: one.kind for one in advise(told)}

    cases: list[tuple[str, dict[str, Any]]] = [
        ("epochs", {}),
        ("capacity", {"net": "2C3 3C3 MP2 4C3 GAP 10C1"}),
        ("capacity", {"net": "5C3 6C3 MP2 8C3 GAP 10C1"}),
        ("dropout", {"net": "8C3/D0.5 16C3/D0.5 MP2 20C3 GAP 10C1"}),
        ("weight decay", {"recipe": {"weight_decay": 0.05}}),
        ("weight averaging", {"recipe": {"averaging": 0.99}}),
        ("learning rate", {"recipe": {"learning_rate": 10}}),
    ]
    for technique, changes in cases:
        recipe = {"epochs": 2} | changes.pop("recipe", {})
        run = facts(recipe=recipe, train=85, holdout=84, epochs=epochs([1.7, 0.8], 85), **changes)
        cut = replace(run, planned=10)
        assert said(run)[technique] in ("alarm", "idea")
        assert technique not in said(cut), technique
        assert technique in said(replace(run, planned=2)), "with all epochs of the climb nothing excuses it"


def test_a_run_cut_short_that_learned_nothing_at_all_is_still_an_alarm() -> None:
    recipe = {"learning_rate": 0.001}
    nothing = facts(recipe=recipe, train=10.0, holdout=10.0, epochs=epochs([2.3, 2.3], 10), planned=10)
    slow = replace(nothing, first=(state(update=0.004),) * 2)
    assert "learning rate" in alarms(slow)


def test_a_run_cut_short_is_not_said_to_know_its_images() -> None:
    smooth = facts(train=99.6, holdout=98.6, epochs=epochs([0.4, 0.1], 99.6), planned=10)
    assert "label smoothing" in [one.technique for one in advise(smooth)]
    less = facts(train=95.0, holdout=93.5, epochs=epochs([0.4, 0.2], 95), planned=10)
    assert "label smoothing" not in [one.technique for one in advise(less)]


def test_an_average_is_measured_by_all_steps_of_the_final_runs() -> None:
    """It reaches back 200 steps of 94, in which even a good net looks like its first weights; of 1,410 that is fine."""
    started = facts(recipe={"averaging": 0.995}, train=11.0, holdout=11.0, epochs=epochs([1.7, 0.8], 60))
    assert "weight averaging" in alarms(started)
    assert "weight averaging" not in alarms(replace(started, planned=30))


def test_a_loss_that_did_not_fall_is_not_said_to_have_been_learning() -> None:
    flat = facts(recipe={"epochs": 2}, train=50.0, holdout=50.0, epochs=epochs([1.7, 1.7], 50.0))
    told = next(one for one in advise(flat) if one.technique == "epochs")
    assert told.evidence.startswith("There were 94 steps in all; it reaches")
    assert told.why == "Hardly any net is done after so few steps."


def test_a_softmax_comes_before_the_epochs_that_it_makes_too_few() -> None:
    slowed = facts(net=f"{NET} SM", recipe={"epochs": 2}, train=92.0, holdout=92.0, epochs=epochs([2.2, 1.9], 85.0))
    assert alarms(slowed) == ["softmax", "epochs"]


def test_a_longer_run_stretches_its_schedule() -> None:
    falling = facts(
        recipe={"schedule": {"kind": "multi-step", "at": [4, 6]}},
        train=94.0,
        holdout=94.0,
        epochs=epochs([1.7, 1.4, 1.1, 0.9, 0.7, 0.5, 0.4, 0.3], 90.0),
    )
    change = first(falling).change
    assert change is not None
    assert (change.recipe.epochs, change.recipe.schedule.model_dump()["at"]) == (16, (8, 12))


def test_epochs_without_a_rate_are_wasted() -> None:
    told = first(
        facts(
            recipe={"epochs": 4},
            train=95.9,
            holdout=95.9,
            epochs=epochs([1.1, 0.23, 0.18, 0.165], 95.0, [0.05, 0.05, 0.00005, 0.00005]),
            steps=100,
        )
    )
    assert told.technique == "learning-rate schedule"
    assert "In the last 50% of the epochs" in told.evidence
    assert told.change is not None
    assert told.change.recipe.schedule.kind == "one-cycle"


def test_dead_channels_ask_for_a_lower_rate() -> None:
    told = advise(
        facts(
            train=90.0,
            holdout=89.0,
            first=(state("3 ReLU", dead=0.0),),
            last=(state("3 ReLU", dead=0.75),),
        )
    )
    assert "In 3 ReLU 75% of the channels are 0" in next(
        one.evidence for one in told if one.technique == "learning rate"
    )


def test_a_softmax_before_the_loss_is_taken_out() -> None:
    told = first(facts(net=f"{NET} SM", train=98.9, holdout=97.8))
    assert told.technique == "softmax"
    assert told.change is not None
    assert told.change.net == NET
    assert "below 1.461 for 10 classes" in told.evidence


def test_layers_in_a_row_without_activation_get_some() -> None:
    told = first(facts(net="[BN] 8C3 16C3 GAP 10C1", train=80.0, holdout=80.0, objects=(5, 5)))
    assert told.technique == "activation"
    assert told.change is not None
    assert told.change.net == "8C3 16C3 GAP 10C1"


def test_two_channels_are_too_narrow() -> None:
    told = first(facts(net="2C3 2C3 MP2 3C3 3C3 GAP 10C1", train=58.0, holdout=59.0))
    assert told.technique == "capacity"
    assert told.change is not None
    assert told.change.net == "8C3 8C3 MP2 12C3 12C3 GAP 10C1"
    assert alarms(facts(net="2C3 2C3 MP2 3C3 3C3 GAP 10C1")) == [], "it learns: it is not too narrow"


def test_an_average_of_small_parts_has_to_see_more() -> None:
    told = first(facts(net="16C3 32C3 GAP 10C1", train=69.0, holdout=70.0))
    assert told.technique == "receptive field"
    assert "a value sees 5×5 pixels" in told.evidence
    assert told.change is not None
    assert told.change.net.startswith("16C3 32C3 MP2 ")


def test_a_head_that_learns_by_heart_is_averaged() -> None:
    told = first(facts(net="[ReLU] 8C3 MP2 256Fb 10F", recipe={"augmentation": {}}, train=100.0, holdout=96.7))
    assert told.technique == "global average pooling"
    assert told.change is not None
    assert told.change.net.endswith("GAP 10C1")
    assert alarms(facts(net="[ReLU] 8C3 MP2 256Fb 10F", train=99.0, holdout=98.5)) == []


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        ("[ReLU] 32Fb 10F", "no convolution made the maps: an average of the bare image knows its brightness alone"),
        ("[ReLU] 3C3 3C3 10F", "three channels are too few to tell ten classes apart without their places"),
    ],
)
def test_a_head_that_an_average_cannot_replace_stays(net: str, reason: str) -> None:
    told = facts(net=net, recipe={"augmentation": {}}, train=100.0, holdout=87.0)
    assert told.net.dense_share > 0.3
    assert "global average pooling" not in [one.technique for one in advise(told)], reason


def test_dropout_of_a_net_that_does_not_overfit_is_taken_out() -> None:
    told = first(facts(net=f"[BN ReLU D0.5] {NET}", train=62.0, holdout=63.0))
    assert told.technique == "dropout"
    assert told.change is not None
    assert told.change.net == NET


def test_weight_decay_that_outweighs_the_images_comes_down() -> None:
    assert first(facts(recipe={"weight_decay": 0.1}, train=40.0, holdout=40.0)).technique == "weight decay"


def test_an_average_over_all_steps_is_shortened() -> None:
    told = first(facts(recipe={"averaging": 0.999}, train=70.0, holdout=70.0))
    assert told.technique == "weight averaging"
    assert "reaches back 1,000 steps, and there are 376 in all" in told.evidence


def test_a_run_that_logged_the_test_set_is_asked_to_hold_images_out_first() -> None:
    told = first(facts(holdout=None, train=60.0))
    assert (told.technique, told.kind) == ("holdout", "first")
    assert told.change is not None
    assert (told.change.protocol, told.change.holdout_size) == ("holdout", 500)


def test_a_step_that_was_left_open_asks_for_more_seeds_first() -> None:
    told = first(
        facts(
            undecided="the step 'Dropout' was left open: dropout 0.05 gains +0.10 points, -0.20 to +0.40",
            seeds=3,
            command="stepladder climb --ladder full --seeds 3 --data digits",
        )
    )
    assert (told.technique, told.change) == ("seeds", None)
    assert told.command == "stepladder climb --ladder full --seeds 5 --data digits"


def test_more_seeds_get_as_much_more_time() -> None:
    open_step = facts(undecided="it was left open", seeds=1, command="stepladder climb --ladder full --time 20m")
    told = first(open_step)
    assert told.evidence == "It was left open, at 1 run of each."
    assert told.command == "stepladder climb --ladder full --time 100m --seeds 5"


def test_the_validation_split_of_the_data_is_the_holdout_and_needs_no_size() -> None:
    told = first(facts(holdout=None, validation=185))
    assert told.technique == "holdout"
    assert told.where == "data: its own validation split of 185 images, which the run trained on"
    assert "--protocol holdout" in told.command


def test_commands_say_where_the_data_is_as_it_was_given() -> None:
    options = "--data 'my photos' --data-dir sets"
    given_words = given_options(data="my photos", size=None, data_dir=Path("sets"))
    pairs = (Confusion("9", "4", 18, 100), Confusion("4", "9", 10, 100))
    for told in (
        facts(recipe={"augmentation": {}}, holdout=95.0, confusions=pairs, given=given_words),
        facts(train=10.0, holdout=9.3, labels=LabelFacts(3000, 9.5, 0.0, 0.0, 0.0, ()), given=given_words),
        facts(train=90.0, holdout=89.0, labels=LabelFacts(3000, 83.0, 0.078, 0.038, 0.034, ()), given=given_words),
    ):
        assert all(options in one.command for one in advise(told)), [one.command for one in advise(told)]


def test_a_gap_that_augmentation_leaves_makes_dropout_and_smoothing_ideas() -> None:
    said = {one.technique: one for one in advise(facts(train=99.6, holdout=98.4))}
    assert set(said) == {"dropout", "label smoothing"}
    change = said["dropout"].change
    assert change is not None
    assert change.net == f"[BN ReLU D0.05] {NET}"


def test_nets_stay_below_the_budget_and_what_no_budget_allows_is_not_said() -> None:
    narrow = facts(net="2C3 2C3 MP2 3C3 3C3 GAP 10C1", train=58.0, holdout=59.0)
    unbounded = first(narrow).change
    bounded = first(replace(narrow, budget=1000)).change
    assert unbounded is not None
    assert bounded is not None
    assert Net.parse(bounded.net).parameters(IMAGE) < 1000 < Net.parse(unbounded.net).parameters(IMAGE)
    assert "capacity" not in [one.technique for one in advise(replace(narrow, budget=250))]


CASES: tuple[Callable[[], Facts], ...] = (
    lambda: facts(recipe={"augmentation": {}}, train=99.6, holdout=90.0),
    lambda: facts(recipe={"learning_rate": 10}, train=10.0, holdout=10.0, first=(state(update=30.0),)),
    lambda: facts(net="[ReLU] 8C3 MP2 256Fb 10F", recipe={"augmentation": {}}, train=100.0, holdout=96.7),
    lambda: facts(net="2C3 16C3 GAP 10C1", recipe={"schedule": {"kind": "constant"}}, train=60.0, holdout=59.0),
    lambda: facts(net=f"[BN ReLU D0.5] {NET} SM", recipe={"epochs": 2}, train=50.0, holdout=45.0, steps=20),
    lambda: facts(holdout=None, train=60.0),
)


@pytest.mark.parametrize("case", CASES)
def test_every_command_reads_back_as_the_experiment_that_it_is_to_train(case: Callable[[], Facts]) -> None:
    said = advise(case())
    assert said
    for one in said:
        if one.change is not None:
            assert read_command(one.command) == one.change


@given(
    learning_rate=some.floats(1e-6, 100, allow_nan=False),
    schedule=some.sampled_from(
        [
            {"kind": "constant"},
            {"kind": "step", "every": 3, "factor": 0.5},
            {"kind": "multi-step", "at": [2, 3]},
            {"kind": "plateau", "patience": 1},
            {"kind": "cosine", "final": 0.001},
            {"kind": "one-cycle", "warm_up": 0.2},
        ]
    ),
    augmentation=some.fixed_dictionaries(
        {"rotation": some.floats(0, 180), "shift": some.integers(0, 4), "vertical_flip": some.sampled_from([0, 0.5])}
    ),
    nesterov=some.booleans(),
    holdout=some.integers(1, 20_000),
    seed=some.integers(0, 1000),
    data=some.sampled_from(["mnist", "digits", "my photos#0123456789ab", "it's"]),
)
def test_any_experiment_survives_its_command(
    learning_rate: float,
    schedule: dict[str, object],
    augmentation: dict[str, float],
    nesterov: bool,
    holdout: int,
    seed: int,
    data: str,
) -> None:
    experiment = Experiment.read(
        {
            "net": f"[BN ReLU D0.05] {NET}",
            "recipe": {
                "learning_rate": learning_rate,
                "schedule": schedule,
                "augmentation": augmentation,
                "nesterov": nesterov,
            },
            "data": data,
            "protocol": "holdout",
            "holdout_size": holdout,
            "seed": seed,
        },
        "drawn",
    )
    assert read_command(train_command(experiment, "runs/it's mine", "learning rate")) == experiment


def test_of_every_technique_it_is_known_whether_it_shifts_the_best_rate() -> None:
    named = set()
    for path in Path(rules_base.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "advice":
                named.add(ast.literal_eval(node.args[1]))
    assert {"batch normalisation", "learning rate", "dropout"} <= named
    assert named <= SHIFTS.keys() | STAYS.keys()
    assert not SHIFTS.keys() & STAYS.keys()
    assert shifts_rate("softmax")
    assert shifts_rate("a rule of somebody else")
    assert not shifts_rate("learning rate")


def test_settings_name_only_what_differs_from_the_defaults() -> None:
    told = facts(recipe={"epochs": 15, "batch_size": 128, "schedule": {"kind": "one-cycle"}, "augmentation": {}})
    assert settings(told.experiment) == [("schedule.kind", "one-cycle")]


@pytest.mark.parametrize("case", CASES)
def test_the_order_of_the_rules_does_not_matter(case: Callable[[], Facts]) -> None:
    told = case()
    for rules in itertools.islice(itertools.permutations(RULES), 0, 4000, 997):
        assert advise(told, rules) == advise(told)
    assert advise(told, RULES[::-1]) == advise(told)


@given(
    train=some.floats(0, 100),
    holdout=some.floats(0, 100),
    net=some.sampled_from([NET, "2C3 GAP 10C1", "[ReLU] 8C3 MP2 128F 10F", "10F", "[D0.5] 4C3 4C3 4C3 10F SM"]),
    update=some.floats(1e-9, 1e9),
    steps=some.integers(1, 500),
    losses=some.lists(some.floats(0, 5), min_size=1, max_size=12),
)
def test_whatever_the_facts_advice_is_ranked_and_its_promises_fit_into_what_is_left(
    train: float, holdout: float, net: str, update: float, steps: int, losses: list[float]
) -> None:
    told = facts(
        net=net, train=train, holdout=holdout, first=(state(update=update),), steps=steps, epochs=epochs(losses, train)
    )
    said = advise(told)
    urgency = ["first", "alarm", "idea"]
    keys = [(urgency.index(one.kind), -one.expected) for one in said]
    assert keys == sorted(keys)
    assert len({one.technique for one in said}) == len(said)
    assert isinstance(told.holdout, Score)
    for one in said:
        assert 0 <= one.effect[0] <= one.effect[1] <= 100 - told.holdout.accuracy + 0.01
        assert one.change != told.experiment


def read_command(command: str) -> Experiment:
    """Return the experiment that a ``stepladder train`` command line trains."""
    import shlex

    words = shlex.split(command)
    assert words[:2] == ["stepladder", "train"]
    options = [(words[index], words[index + 1]) for index in range(3, len(words), 2)]
    single = dict(options)
    return read_experiment(
        words[2],
        data=single.get("--data"),
        seed=int(single.get("--seed", "0")),
        protocol=single.get("--protocol"),
        holdout_size=int(single["--holdout-size"]) if "--holdout-size" in single else None,
        settings=[value for name, value in options if name == "--set"],
    )

"""How a climb keeps to its time: fewer epochs, then fewer seeds, then fewer steps, and it says so."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepladder.effort import Ahead, Level, Plan, Speed
from stepladder.pace import Work
from stepladder.spec import MultiStepDecay, Plateau, Recipe, StepDecay
from stepladder.trials import with_epochs

AHEAD = [Ahead("one", 0.5, 2, True), Ahead("two", 1.0, 4, False), Ahead("three", 1.0, 3, False)]
SPEED = Speed(base=0.0, each=1e-9)
MACS = 1e6


def a_plan(limit: float | None) -> Plan:
    """Return a plan for 1,000 images at a second a thousand images and epoch, one at a time."""
    return Plan(limit=limit, epochs=10, seeds=3, images=1000, workers=1, speed=SPEED, reserved=30)


def of_epochs(level: Level) -> Work:
    """Return the work of a first step of three candidates."""
    effort = level.effort(10, 1.0)
    return Work.alike(3 * effort.seeds, effort.epochs, 1)


def test_without_a_limit_every_step_gets_everything() -> None:
    plan = a_plan(None)
    level, ahead = plan.choose("first", of_epochs, AHEAD, MACS)
    assert (level, ahead) == (Level(3, 1.0), AHEAD)
    assert plan.told == []


def test_epochs_are_saved_before_seeds_and_seeds_before_steps() -> None:
    chosen = [a_plan(limit).choose("first", of_epochs, AHEAD, MACS) for limit in (2000.0, 300.0, 140.0, 60.0, 5.0)]
    levels = [level for level, _ in chosen]
    assert levels[0] == Level(3, 1.0)
    assert levels[1].seeds == 3
    assert levels[1].share < 1
    assert levels[2].seeds == 2
    steps = [len(ahead) for _, ahead in chosen]
    assert steps[:3] == [3, 3, 3]
    assert steps == sorted(steps, reverse=True)
    assert steps[-1] == 0


@settings(max_examples=60, deadline=None)
@given(st.floats(10, 5000))
def test_what_is_planned_fits_or_is_the_least_there_is(limit: float) -> None:
    plan = a_plan(limit)
    level, ahead = plan.choose("first", of_epochs, AHEAD, MACS)
    work = sum((step.work(level, 10, 1.0, 1) for step in ahead), of_epochs(level)) + Work.alike(3, 10, 1)
    assert plan.pace.seconds(work) <= limit or (level == plan.levels()[-1] and not ahead)


def test_what_is_left_out_is_told() -> None:
    plan = a_plan(50)
    _, ahead = plan.choose("first", of_epochs, AHEAD, MACS)
    assert plan.left_out == [step.title for step in AHEAD[len(ahead) :]][::-1]
    assert any("Left out" in line for line in plan.told)
    assert any("of each candidate" in line for line in plan.told)
    plan.leave_out(plan.left_out[0])
    lines = [line for line in plan.told if "Left out" in line]
    assert len(lines) == len(plan.left_out) == len(set(lines))


def test_starting_processes_leaves_the_time_that_is_left_to_the_steps() -> None:
    # Of a minute on small images, pre-flight took 16 s and starting processes 22 s.
    plan = a_plan(60)
    plan.reserved = 3
    plan.spent = 16
    plan.pace.observe(Work(5, 1.0), 2.0, 22.0, 1)
    plan.spent += 22
    for _ in range(3):
        plan.pace.observe(Work(2, 0.4), 0.5, 0.6, 1)
    level, ahead = plan.choose("second", lambda level: Work(2, 1.0), [Ahead("third", 0.1, 2, False)], MACS)
    assert [step.title for step in ahead] == ["third"]
    assert plan.left_out == []
    assert level.seeds == 3


def test_steps_that_were_left_out_come_back_before_others_have_more_epochs() -> None:
    plan = a_plan(60)
    plan.choose("first", of_epochs, AHEAD, MACS)
    gone = list(plan.left_out)
    assert gone
    plan.limit = 1000
    assert plan.choose("second", of_epochs, AHEAD, MACS)[1] == AHEAD
    assert plan.left_out == []
    assert plan.back == gone[::-1]
    assert [line for line in plan.told if "after all" in line] == [
        f"Asked after all, for there is time: {title}." for title in gone[::-1]
    ]
    assert plan.told[-1].startswith("From here on: 3 seeds"), "the plan is told with what came back"
    plan.leave_out(gone[0])
    assert gone[0] not in plan.back


def test_a_climb_that_took_longer_than_allowed_says_so_once() -> None:
    plan = a_plan(60)
    plan.ready, plan.least = 16.0, Work(4, 4.0)
    last = Work(3, 0.0)
    plan.end(last)
    assert plan.told == []
    plan.spent = 75
    plan.end(last)
    plan.end(last)
    (line,) = plan.told
    assert line.startswith("Took longer than allowed: 1 min 15 s in place of 1 min 0 s; ")
    # 16 s before, 5 s for processes to start, 5 s for four runs of a second, and 0.25 s for each of seven runs.
    assert line.endswith("takes about 28 s by itself.")
    unlimited = a_plan(None)
    unlimited.end(last)
    assert unlimited.told == []


def test_steps_ahead_are_reckoned_with_the_largest_net_that_may_come_to_stand() -> None:
    large = [replace(AHEAD[0], macs=4_000_000), *AHEAD[1:]]
    small, may_grow = (a_plan(300).choose("first", of_epochs, ahead, MACS)[0] for ahead in (AHEAD, large))
    assert may_grow.seeds * may_grow.share < small.seeds * small.share
    grown = a_plan(300).choose("first", of_epochs, AHEAD, 4 * MACS)[0]
    assert grown == may_grow


def test_a_large_net_of_a_step_that_is_left_out_is_not_reckoned_with() -> None:
    huge = [*AHEAD[:2], replace(AHEAD[2], macs=40_000_000)]
    plan = a_plan(400)
    level, ahead = plan.choose("first", of_epochs, huge, MACS)
    assert ahead == AHEAD[:2]
    assert level == a_plan(400).choose("first", of_epochs, AHEAD[:2], MACS)[0]
    assert plan.fits(of_epochs, MACS)
    assert not plan.fits(of_epochs, 40_000_000)


def test_a_slow_machine_is_seen_and_reckoned_with() -> None:
    quick, slow = a_plan(400), a_plan(400)
    quick.pace.observe(Work(1, 10.0), 10.0, 10.0, 1)
    slow.pace.observe(Work(1, 10.0), 40.0, 40.0, 1)
    assert slow.pace.seconds(Work(1, 5.0)) == pytest.approx(4 * quick.pace.seconds(Work(1, 5.0)))
    assert (
        slow.choose("first", of_epochs, AHEAD, MACS)[0].share < quick.choose("first", of_epochs, AHEAD, MACS)[0].share
    )


def test_a_climb_that_goes_on_keeps_to_what_it_had_begun_with() -> None:
    plan = a_plan(5)
    plan.kept["first"] = Level(3, 0.8)
    assert plan.choose("first", of_epochs, AHEAD, MACS) == (Level(3, 0.8), AHEAD)


def test_time_that_is_left_goes_to_open_questions_epochs_first() -> None:
    def again(limit: float, had: int = 2) -> Level | None:
        return a_plan(limit).again("first-again", of_epochs, (1.0, had), MACS)

    # Three candidates of ten epochs, and 30 for the end: 60 core-seconds at two seeds, 90 at three.
    assert again(200) == Level(3, 1.0)
    assert again(140) == Level(2, 1.0)
    shorter = again(110)
    assert shorter is not None
    assert shorter.share < 1
    assert again(50) is None
    assert again(110, had=10) is None, "nothing beyond what it had"
    assert a_plan(None).again("first-again", of_epochs, (1.0, 2), MACS) == Level(3, 1.0)
    assert a_plan(None).again("first-again", of_epochs, (1.0, 10), MACS) is None


def test_a_question_that_was_asked_again_is_when_the_climb_goes_on() -> None:
    plan = a_plan(130)
    level = plan.again("first-again", of_epochs, (1.0, 2), MACS)
    assert plan.choose("first-again", of_epochs, [], MACS) == (level, [])
    late = a_plan(5)
    late.kept["first-again"] = Level(2, 1.0)
    assert late.again("first-again", of_epochs, (1.0, 2), MACS) == Level(2, 1.0)


def test_what_was_left_out_does_not_come_back_when_the_climb_goes_on() -> None:
    plan = a_plan(60)
    level, ahead = plan.choose("first", of_epochs, AHEAD, MACS)
    assert len(ahead) < len(AHEAD)
    later = replace(a_plan(60), kept={"first": level}, left_out=list(plan.left_out))
    assert later.choose("first", of_epochs, AHEAD, MACS) == (level, ahead)


def test_steps_that_nobody_knows_yet_are_not_told_as_left_out() -> None:
    plan = a_plan(50)
    plan.choose("first", of_epochs, [Ahead("", 1.0, 1, False)] * 5, MACS)
    assert plan.left_out == []
    assert not any("Left out" in line for line in plan.told)
    assert not plan.fits(lambda level: Work(1, 1000.0), MACS)
    assert plan.fits(lambda level: Work(1, 0.5), MACS)


def test_a_shorter_run_drops_its_rate_at_the_same_shares() -> None:
    stepped = Recipe(epochs=15, schedule=StepDecay(every=5))
    assert with_epochs(stepped, 6).schedule == StepDecay(every=2)
    several = Recipe(epochs=15, schedule=MultiStepDecay(at=(8, 12)))
    assert with_epochs(several, 30).schedule == MultiStepDecay(at=(16, 24))
    assert with_epochs(stepped, 15) is stepped


@pytest.mark.parametrize(("epochs", "patience"), [(15, 2), (10, 1), (5, 0), (2, 0), (30, 5)])
def test_a_shorter_run_waits_for_its_plateau_as_long_a_share_of_it(epochs: int, patience: int) -> None:
    waiting = Recipe(epochs=15, schedule=Plateau(patience=2))
    schedule = with_epochs(waiting, epochs).schedule
    assert isinstance(schedule, Plateau)
    assert schedule.patience == patience

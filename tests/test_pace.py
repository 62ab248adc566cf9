"""What runs take: learned from those of a climb, so that what each costs by itself is not taken for slow training."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.pace import Pace, Work


def taught(*runs: tuple[float, float], fixed: float, factor: float) -> Pace:
    """Return what was learned of runs, by their rounds and core-seconds, after processes had started."""
    pace = Pace(processes=1)
    for rounds, each in runs:
        pace.observe(Work(rounds, rounds * each), rounds * each * factor, rounds * (fixed + factor * each), 1)
    return pace


def test_what_every_run_costs_is_told_from_what_its_work_takes() -> None:
    pace = taught((5, 0.1), (2, 2.0), (3, 0.5), fixed=0.6, factor=3.0)
    assert pace.fitted() == pytest.approx((0.6, 3.0))
    assert pace.seconds(Work(4, 40.0)) == pytest.approx(4 * 0.6 + 120)


def test_of_runs_of_one_kind_their_epochs_say_what_work_takes() -> None:
    assert taught((5, 0.1), (3, 0.11), fixed=0.6, factor=3.0).fitted() == pytest.approx((0.6, 3.0))


def test_what_is_on_no_epochs_clock_counts_as_work_where_long_runs_say_so() -> None:
    pace = Pace(processes=1)
    for each in (0.1, 1.0, 2.0):  # half of an epoch's seconds again for its checkpoint
        pace.observe(Work(1, each), 2.0 * each, 0.5 + 3.0 * each, 1)
    assert pace.fitted() == pytest.approx((0.5, 3.0))


def test_a_batch_that_something_held_up_hardly_counts() -> None:
    pace = taught((5, 0.1), (2, 2.0), (3, 0.5), (4, 0.2), fixed=0.6, factor=3.0)
    pace.observe(Work(1, 0.1), 0.3, 60.0, 1)
    fixed, factor = pace.fitted()
    assert fixed == pytest.approx(0.6, abs=0.05)
    assert factor == pytest.approx(3.0, rel=0.05)


def test_processes_that_start_are_not_taken_for_slow_training() -> None:
    pace = Pace()
    assert pace.still_to_start > 0
    pace.observe(Work(5, 0.5), 1.0, 25.0, 2)
    assert pace.still_to_start == 0
    assert pace.seconds(Work(5, 0.5)) < 5
    pace.observe(Work(2, 0.2), 0.4, 0.6, 2)
    assert pace.seconds(Work(2, 0.2)) == pytest.approx(0.6)
    assert pace.starting == pytest.approx(25.0 - 1.5)
    goes_on = Pace(list(pace.seen))
    assert goes_on.still_to_start == pytest.approx(pace.starting)


def test_a_net_that_is_new_costs_once() -> None:
    pace = taught((5, 0.1), (2, 2.0), fixed=0.6, factor=3.0)
    pace.observe(Work(3, 0.3, nets=2), 0.9, 3 * 0.6 + 0.9 + 2 * 4.0, 1)
    assert pace.fitted() == pytest.approx((0.6, 3.0))
    assert pace.seconds(Work(1, 1.0, nets=3)) == pytest.approx(0.6 + 3.0 + 3 * 4.0)


def test_runs_wait_for_a_worker_that_is_free() -> None:
    assert Work.of([], 2) == Work()
    assert Work.of([3.0, 1.0, 1.0, 1.0], 2) == Work(2, 3.0)
    assert Work.of([1.0, 1.0, 1.0], 2) == Work(2, 2.0)
    assert Work.of([1.0, 1.0, 1.0], 16) == Work(1, 1.0)
    assert Work.alike(2.5, 1.0, 2) == Work(1.5, 1.5), "between one round and two"


@given(st.integers(0, 40), st.integers(1, 20))
def test_runs_that_are_alike_take_what_each_of_them_adds(runs: int, workers: int) -> None:
    one, other = Work.alike(runs, 2.0, workers), Work.of([2.0] * runs, workers)
    assert (one.rounds, one.seconds) == pytest.approx((other.rounds, other.seconds))

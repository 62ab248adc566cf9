"""A climb that follows advice in place of a fixed order, and writes down what each piece promised and what came."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stepladder import ascent_facts
from stepladder.advice import Advice, advise_run
from stepladder.ascent import STANDS, Climber
from stepladder.effort import Ahead
from stepladder.evaluate import mean
from stepladder.promises import in_words, promises, score
from stepladder.questions import Question, QuestionLadder
from stepladder.rules.rate_shifts import shifts_rate
from stepladder.runs import FinishedRun
from stepladder.techniques import Standing
from stepladder.trials import Trial, with_epochs

AUTO = "auto"
LADDER = QuestionLadder.model_construct(format=1, name=AUTO, steps=())
"""A ladder without steps of its own: what is asked comes from the advice."""
_NOT_YET = "skeleton"
_MOST = 40
"""Pieces of advice after which it ends whatever is left: far more than rules there are."""
_EXPECTED = 6
"""Pieces that the plan for a time limit reckons with."""


def follow(climber: Climber) -> dict[str, Any]:
    """Try what the advice says, one piece after another, until the target is met or nothing is left; return the facts.

    The target counts as met where the mean over the seeds reaches it on the holdout after the goal's epochs. Advice is
    asked for again each time that something was kept; what was tried on the same net is not tried again.

    Raises:
        SpecError: if no bare net fits the images and the budget.
        StepladderError: if runs fail for another reason than a loss that is no longer a number.
    """
    standing, _ = climber.begin(_ahead(0))
    trial = standing.trial
    seen = {trial}
    told: set[str] = set()
    advice_on: dict[Path, list[Advice]] = {}
    for number in range(1, _MOST + 1):
        runs = _runs(climber, trial)
        if not runs:
            climber.why_it_ended = "what stands could not be trained"
            break
        if _is_met(climber, runs):
            climber.why_it_ended = f"the target of {climber.options.goal.target:g}% is met on the held-out images"
            break
        looked_at = runs[0].folder
        if looked_at not in advice_on:
            advice_on[looked_at] = advise_run(looked_at, climber.dataset, standing.budget)
        advised = advice_on[looked_at]
        _tell_alarms(climber, advised, told)
        changes = ((advice, _changed(climber, standing, advice)) for advice in advised)
        new = next(((advice, one) for advice, one in changes if one is not None and one not in seen), None)
        if new is None:
            if climber.plan.left_out:
                no_time = " and ".join(f"'{title}'" for title in climber.plan.left_out)
                climber.why_it_ended = f"there was no time for {no_time}"
            else:
                climber.tell("    nothing is left to try")
                climber.why_it_ended = "nothing was left to try, within the goal's epochs and budget"
            break
        advice, changed = new
        seen.add(changed)
        question, candidates = _question(number, advice), [(STANDS, trial), (advice.title, changed)]
        if advice.title in climber.plan.left_out or not climber.costs.fits(question, candidates):
            climber.plan.leave_out(advice.title)
            climber.tell_plan()
            continue  # what comes next may take less
        climber.tell(f"    advised: {advice.title}. {advice.evidence}")
        rung, _ = climber.answer(question, candidates, _ahead(number), advice=_promise(advice))
        climber.tell(f"    {in_words(promises(ascent_facts.gather(climber))[-1])}")
        trial = rung.answer.trial
        if rung.answer.taken != STANDS:
            # What was worth nothing to the net before may be worth something to this one, but for what it was itself
            # before its learning rate was tuned.
            seen = {trial, changed}
    facts = climber.finish(trial)
    if judged := score(facts):
        climber.tell(f"promises of advice: {judged}")
    return facts


def _question(number: int, advice: Advice) -> Question:
    return Question.model_construct(
        key=f"advice-{number}",
        title=advice.title,
        question=f"Does it help to {advice.title[:1].lower()}{advice.title[1:]}?",
        technique=advice.technique,
        options={},
        epochs=1.0,
        tune_rate=shifts_rate(advice.technique),
        combine=False,
    )


def _ahead(number: int) -> list[Ahead]:
    """Return the pieces of advice that the plan reckons with after so many; nobody knows yet what they will be."""
    return [Ahead("", 1.0, 1, True) for _ in range(number + 1, _EXPECTED + 1)]


def _promise(advice: Advice) -> dict[str, Any]:
    return {
        "technique": advice.technique,
        "title": advice.title,
        "evidence": advice.evidence,
        "where": advice.where,
        "why": advice.why,
        "promised": list(advice.effect),
    }


def _tell_alarms(climber: Climber, advised: Sequence[Advice], told: set[str]) -> None:
    """Tell alarms that no change of net or recipe can answer, such as labels that do not belong, each once."""
    for advice in advised:
        if advice.change is None and advice.kind != "idea" and advice.title not in told:
            told.add(advice.title)
            climber.tell(f"    Alarm: {advice.title}. {advice.evidence} {advice.command}")


def _runs(climber: Climber, trial: Trial) -> list[FinishedRun]:
    """Return what stands, trained for as many epochs as the goal has or, where time is short, as the last step had."""
    epochs = climber.options.goal.epochs
    if climber.rungs and climber.rungs[-1].question.key != _NOT_YET:
        epochs = climber.rungs[-1].effort.epochs
    elif climber.plan.level is not None:
        epochs = climber.plan.level.effort(epochs, 1.0).epochs
    seeds = climber.rungs[-1].effort.seeds if climber.rungs else climber.options.seeds
    climber.trials.run("What stands", [("all epochs", trial)], range(seeds), epochs)
    found = [climber.trials.finished(climber.trials.job("", trial, seed, epochs)) for seed in range(seeds)]
    return [run for run in found if run is not None]


def _is_met(climber: Climber, runs: Sequence[FinishedRun]) -> bool:
    reached = mean([run.rows[-1].evaluation_accuracy for run in runs])
    goal = climber.options.goal
    if reached < goal.target:
        return False
    climber.tell(f"    the target of {goal.target:g}% is met on the holdout: {reached:.2f}%")
    return True


def _changed(climber: Climber, standing: Standing, advice: Advice) -> Trial | None:
    """Return what a piece of advice changes, within the goal's epochs and budget; None if it is beyond them."""
    if advice.change is None:
        return None
    recipe = with_epochs(advice.change.recipe, climber.options.goal.epochs)
    changed = Trial(advice.change.net, recipe.model_copy(update={"precision": standing.recipe.precision}))
    return changed if climber.trials.cost(changed)[0] < standing.budget else None

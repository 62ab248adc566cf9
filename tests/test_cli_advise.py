"""``stepladder advise`` as a user meets it: on a run, on climbs, in three forms, and one clear message a mistake."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import stepladder
from stepladder.advised import Advised, Subject, advised, as_markdown, as_text, find_subject
from stepladder.cli import app
from stepladder.data import load
from stepladder.errors import RunError, StepladderError
from stepladder.notation import Net
from stepladder.spec import Experiment
from stepladder.train import train

SOFTMAX = "16C3p1 MP2 24C3 GAP 10C1 SM"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on scikit-learn's digits whose net ends in a softmax."""
    folder = tmp_path_factory.mktemp("runs") / "mine"
    values = {
        "net": SOFTMAX,
        "recipe": {"epochs": 8, "batch_size": 32, "schedule": {"kind": "one-cycle"}},
        "data": "digits",
        "protocol": "holdout",
        "holdout_size": 300,
    }
    for _ in train(Experiment.read(values, "test"), load("digits"), folder, threads=1):
        pass
    return folder


def advise(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["advise", *map(str, arguments)])


@pytest.fixture(scope="module")
def shown(run: Path) -> dict[str, str]:
    """What is printed in each form, and the table of doubtful labels."""
    table = run.parent / "doubtful.csv"
    done = {form: advise(run, "--format", form, "--doubtful", table) for form in ("text", "json", "markdown")}
    assert [one.exit_code for one in done.values()] == [0, 0, 0]
    return {form: one.stdout for form, one in done.items()} | {"doubtful": table.read_text(encoding="utf-8")}


def test_text_says_what_is_wrong_with_evidence_effect_and_command(shown: dict[str, str]) -> None:
    first_line, *_ = shown["text"].splitlines()
    assert "scikit-learn's digits" in first_line
    assert first_line.endswith("2 alarms")
    assert "1. Alarm: Take out the softmax at the end (softmax)" in shown["text"]
    assert "the loss cannot fall below 1.461 for 10 classes" in shown["text"]
    assert f"stepladder train '{SOFTMAX.removesuffix(' SM')}' --data digits --protocol holdout" in shown["text"]


def test_the_three_forms_say_the_same(shown: dict[str, str]) -> None:
    found = json.loads(shown["json"])
    assert found["format"] == 1
    assert found["facts"]["net"]["ends_in_softmax"] is True
    assert found["advice"][0]["technique"] == "softmax"
    assert Experiment.model_validate(found["advice"][0]["change"]).net == SOFTMAX.removesuffix(" SM")
    for one in found["advice"]:
        for key in ("title", "evidence", "where", "why", "cost", "command"):
            assert one[key] in shown["markdown"]
            assert one[key] in shown["text"]


def test_python_gives_what_the_command_prints(run: Path, shown: dict[str, str]) -> None:
    assert f"{stepladder.advise(run)}\n" == shown["text"]


def test_doubtful_labels_are_written_with_what_they_might_be(shown: dict[str, str]) -> None:
    rows = list(csv.DictReader(shown["doubtful"].splitlines()))
    labels = load("digits").train.labels
    assert all(row["label"] == str(labels[int(row["image"])]) != row["suggested"] for row in rows)


def test_the_catalogues_doubtful_images_have_no_file(shown: dict[str, str]) -> None:
    assert {row["file"] for row in csv.DictReader(shown["doubtful"].splitlines())} <= {""}


def mislabelled_folder(root: Path) -> Path:
    """Write 600 of scikit-learn's digits as PNG files, every fifteenth in the folder of another class."""
    digits = load("digits").train
    for index, (image, label) in enumerate(zip(digits.images[:600, 0], digits.labels, strict=False)):
        is_wrong = index % 15 == 7
        folder = root / str((label + 3) % 10 if is_wrong else label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{index:04}-{'wrong' if is_wrong else 'right'}.png")
    return root


def test_of_ones_own_images_the_doubtful_files_are_named(tmp_path: Path) -> None:
    dataset = load(str(mislabelled_folder(tmp_path / "digits")))
    values = {
        "net": "16C3p1 MP2 24C3 GAP 10C1",
        "recipe": {"epochs": 8, "batch_size": 32, "schedule": {"kind": "one-cycle"}},
        "data": dataset.name,
        "protocol": "holdout",  # so that numbers among the images trained on are not those among all
        "holdout_size": 100,
    }
    for _ in train(Experiment.read(values, "test"), dataset, tmp_path / "run", threads=1):
        pass
    table = tmp_path / "doubtful.csv"
    assert advise(tmp_path / "run", "--doubtful", table).exit_code == 0
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    for row in rows:
        with Image.open(row["file"]) as stored:
            assert (numpy.asarray(stored) == dataset.train.images[int(row["image"]), 0]).all()
        assert Path(row["file"]).parent.name == row["label"]
    assert sum("wrong" in row["file"] for row in rows) > 0.8 * len(rows) > 10


@pytest.mark.parametrize("budget", [300, 2000, 6000])
def test_no_net_that_is_advised_has_more_parameters_than_the_budget(
    budget: int, run: Path, shown: dict[str, str]
) -> None:
    def parameters(printed: str) -> dict[str, int]:
        changes = {one["technique"]: one["change"] for one in json.loads(printed)["advice"] if one["change"]}
        return {name: Net.parse(change["net"]).parameters((1, 8, 8)) for name, change in changes.items()}

    assert max(parameters(shown["json"]).values()) == 14752, "of twice the widths, where nothing is said of a budget"
    bounded = advise(run, "--budget", budget, "--format", "json").stdout
    assert parameters(bounded).keys() >= {"softmax", "epochs"}
    assert max(parameters(bounded).values()) < budget
    for one in json.loads(bounded)["advice"]:
        # A longer training of a narrower net is two changes, and both are said.
        is_narrower = one["technique"] == "epochs" and budget < 3920
        assert ("the net narrowed to stay below" in one["where"]) == is_narrower
        assert f"stepladder train '{one['change']['net']}'" in one["command"]


def test_a_budget_of_no_parameters_is_refused(run: Path) -> None:
    done = advise(run, "--budget", 0)
    assert done.exit_code == 2
    assert "--budget" in done.output


def decisions(folder: Path, run: Path, taken: str, verdict: str, gained: float, epochs: int = 8) -> Path:
    """Write a climb of two candidates whose runs are all the same one of 8 epochs; its goal has so many."""
    (folder / "runs").mkdir(parents=True)
    for name in ("stood", "tried"):
        (folder / "runs" / name).symlink_to(run, target_is_directory=True)
    decision = {"seeds": 5, "verdict": verdict, "points": gained, "low": gained - 0.3, "high": gained + 0.3}
    facts: dict[str, Any] = {
        "format": 1,
        "seeds": 3,
        "goal": {"target": 99.0, "budget": 600, "epochs": epochs},
        "command": "stepladder climb --ladder full --data digits",
        "steps": [
            {
                "key": "dropout",
                "title": "Dropout",
                "taken": taken,
                "epochs": 8,
                "candidates": [
                    {"name": "what stands", "runs": ["stood"], "decision": None},
                    {"name": "dropout 0.05", "runs": ["tried"], "decision": decision},
                ],
            }
        ],
    }
    (folder / "decisions.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


def test_a_climb_is_advised_on_by_the_run_that_its_last_step_took(run: Path, tmp_path: Path) -> None:
    kept = find_subject(decisions(tmp_path / "kept", run, "dropout 0.05", "keep", 0.5))
    assert (kept.run.name, kept.undecided) == ("tried", "")
    dropped = find_subject(decisions(tmp_path / "dropped", run, "what stands", "drop", -0.5))
    assert (dropped.run.name, dropped.undecided) == ("stood", "")


def test_a_step_that_was_left_open_asks_for_seeds_before_the_alarm(run: Path, tmp_path: Path) -> None:
    climb = decisions(tmp_path / "open", run, "what stands", "undecided", 0.1)
    found = find_subject(climb)
    assert found.seeds == 5, "those of the second look"
    assert found.budget == 600
    lines = advise(climb).stdout
    assert "1. Before anything else: More seeds first (seeds)" in lines
    assert "The step 'Dropout' was left open: dropout 0.05 gains +0.10 points, -0.20 to +0.40, at 5 runs" in lines
    assert "stepladder climb --ladder full --data digits --seeds 7" in lines
    assert "2. Alarm: Take out the softmax at the end" in lines


def test_what_is_open_but_a_loss_if_anything_asks_for_no_seeds(run: Path, tmp_path: Path) -> None:
    assert find_subject(decisions(tmp_path / "loss", run, "what stands", "undecided", -3.1)).undecided == ""


def test_a_run_that_the_climb_cut_short_is_not_told_to_be_trained_longer(run: Path, tmp_path: Path) -> None:
    whole = json.loads(advise(decisions(tmp_path / "whole", run, "what stands", "drop", -1), "--format", "json").stdout)
    assert {"epochs", "softmax"} <= {one["technique"] for one in whole["advice"]}
    cut = decisions(tmp_path / "cut", run, "what stands", "drop", -1, epochs=16)
    found = json.loads(advise(cut, "--format", "json").stdout)
    assert (found["facts"]["planned"], len(found["facts"]["epochs"])) == (16, 8)
    assert {one["technique"] for one in found["advice"]} == {"softmax"}
    # What is advised is trained for as long as the final runs.
    assert {one["change"]["recipe"]["epochs"] for one in found["advice"]} == {16}
    assert "after 8 of 16 epochs" in found["advice"][0]["evidence"]


def test_of_a_climb_it_is_said_which_run_was_read_and_how_long_it_was(run: Path, tmp_path: Path) -> None:
    whole = decisions(tmp_path / "whole", run, "what stands", "drop", -1)
    cut = decisions(tmp_path / "cut", run, "what stands", "drop", -1, epochs=16)
    line = "Looked at: the run with seed 0 of what stands, from the step 'Dropout', with"
    for form in ("text", "markdown"):
        assert f"{line} all 8 epochs" in advise(whole, "--format", form).stdout
        assert f"{line} 8 of the 16 epochs of the final runs" in advise(cut, "--format", form).stdout
        assert "Looked at" not in advise(run, "--format", form).stdout


def test_of_the_runs_of_what_stands_the_longest_is_read(run: Path, tmp_path: Path) -> None:
    climb = decisions(tmp_path / "climb", run, "dropout 0.05", "keep", 0.5)
    facts = json.loads((climb / "decisions.json").read_text(encoding="utf-8"))
    (taken,) = facts["steps"]
    stood = {"name": "what stands", "runs": ["stood"], "decision": None}
    later = {"key": "later", "title": "Later", "taken": "what stands", "epochs": 3, "candidates": [stood]}
    earlier = {"key": "earlier", "title": "Earlier", "taken": "what stands", "epochs": 9, "candidates": [stood]}

    def subject(*steps: dict[str, Any]) -> tuple[str, str]:
        (climb / "decisions.json").write_text(json.dumps(facts | {"steps": steps}), encoding="utf-8")
        found = find_subject(climb)
        return found.step, found.run.name

    assert subject(earlier, taken, later) == ("Dropout", "tried"), "before it, something else stood"
    assert subject(earlier, taken, later | {"epochs": 8}) == ("Later", "stood")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("{run}", "--format", "yaml"), "there is no format of this name"),
        (("{run}", "--data", "mnist-sample"), "other images"),
        (("{empty}",), "this is no run folder"),
    ],
)
def test_mistakes_end_in_one_clear_message(run: Path, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    done = advise(*(one.format(run=run, empty=tmp_path) for one in arguments))
    assert isinstance(done.exception, StepladderError)
    assert words in str(done.exception)
    assert done.exception.repair


@pytest.mark.parametrize(
    ("form", "line"), [(as_text, "   this climb: asked\n"), (as_markdown, "- **this climb:** asked\n")]
)
def test_what_the_climb_found_out_already_stands_beside_the_advice(
    run: Path, form: Callable[[Advised], str], line: str
) -> None:
    found = advised(Subject(run, answers={"softmax": "asked"}), load("digits"))
    assert [one.before for one in found.advice if one.technique == "softmax"] == ["asked"]
    assert form(found).count(line) == 1


def test_a_climb_without_a_finished_step_says_so(tmp_path: Path) -> None:
    (tmp_path / "decisions.json").write_text(json.dumps({"format": 1, "steps": []}), encoding="utf-8")
    with pytest.raises(RunError, match="no step of this climb is finished"):
        find_subject(tmp_path)

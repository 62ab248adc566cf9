"""A complete climb on a colour folder, end to end, and the rows that benchmarks/ladders.py takes from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import ladders
from own_images import SCENES, scene_folder
from stepladder import cli
from stepladder.evaluate import mean
from stepladder.runs import open_finished

LADDER = """
format = 1
name = "short"
[[steps]]
key = "batch-normalisation"
title = "Batch normalisation"
question = "Does it help?"
technique = "batch-normalisation"
[[steps]]
key = "flips"
title = "Flips"
question = "Do flips leave the class as it is?"
technique = "augmentation"
options = { kinds = { "vertical flip" = { vertical_flip = 0.5 } } }
"""


@pytest.fixture(scope="module")
def climb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a climb that is made as a user makes one, of two steps on patches of photographs."""
    place = tmp_path_factory.mktemp("own")
    images = scene_folder(place / "scenes")
    (place / "short.toml").write_text(LADDER, encoding="utf-8")
    words = ["climb", "--ladder", str(place / "short.toml"), "--data", str(images), "--epochs", "4", "--seeds", "2"]
    words += ["--target", "60", "--budget", "3000", "--workers", "1", "--precision", "float32"]
    cli.app([*words, "--folder", str(place / "climbs")], standalone_mode=False)
    return place / "climbs" / "short-scenes"


def test_a_climb_on_a_colour_folder_learns_and_stays_below_the_budget(climb: Path) -> None:
    facts = json.loads((climb / "decisions.json").read_text(encoding="utf-8"))
    assert [step["key"] for step in facts["steps"]] == ["skeleton", "batch-normalisation", "flips"]
    assert facts["net"].split()[-1] in (f"{len(SCENES)}F", f"{len(SCENES)}C1")
    assert facts["final"]["parameters"] < 3000
    # Guessing the most frequent of the seven classes is right in a fifth of the images.
    assert mean(facts["final"]["accuracies"]) > 50
    assert (climb / "report.md").is_file()


def test_candidates_learn_without_the_validation_images_and_never_see_the_test_set(climb: Path) -> None:
    facts = json.loads((climb / "decisions.json").read_text(encoding="utf-8"))
    tried = {name for step in facts["steps"] for one in step["candidates"] for name in one["runs"]}
    rows = [open_finished(climb / "runs" / name).rows[-1] for name in tried]
    assert {(row.split, row.train_count, row.evaluation_count) for row in rows} == {("holdout", 1038, 185)}
    final = open_finished(climb / "runs" / facts["final"]["runs"][0]).rows[-1]
    assert (final.split, final.train_count, final.evaluation_count) == ("test", 1038 + 185, 216)


def test_a_row_is_a_candidate_with_its_effect_and_where_it_was_measured(climb: Path) -> None:
    whole, *rows = ladders.extracted(climb)
    assert whole["environment"]["torch"]
    assert whole["environment"]["processor"]
    assert whole["command"].startswith("stepladder")
    facts = json.loads((climb / "decisions.json").read_text(encoding="utf-8"))
    assert [row["candidate"] for row in rows] == [one["name"] for step in facts["steps"] for one in step["candidates"]]
    for key in ("batch-normalisation", "flips"):
        stood, tried = (row for row in rows if row["step"] == key)
        assert stood["stood"]
        assert stood["points"] is None
        assert stood["taken"] != tried["taken"]
        shared = tried["accuracies"]
        assert tried["points"] == pytest.approx(mean(shared) - mean(stood["accuracies"][: len(shared)]))
        assert tried["low"] < tried["points"] < tried["high"]
        assert tried["verdict"] in ("keep", "drop", "undecided")
        assert tried["holdout_size"] == 185


def test_rows_of_other_climbs_stay_and_those_of_the_same_are_replaced(climb: Path) -> None:
    found = ladders.extracted(climb)
    other = [{"kind": "climb", "climb": "a"}, {"kind": "candidate", "climb": "a"}]
    old = {"kind": "candidate", "climb": found[0]["climb"], "candidate": "of long ago"}
    assert ladders.merged([old, *other], found) == [*other, *found]

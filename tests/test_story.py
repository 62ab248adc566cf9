"""The report of a climb of questions: what it says of the facts, and that a reader can see, print and hear it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from axe_playwright_python.sync_playwright import Axe
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser

from browser import launched, open_page
from stepladder import data, story
from stepladder.ascent_facts import DECISIONS
from stepladder.cli import app
from stepladder.errors import RunError
from stepladder.pictures.draw import subject_of
from stepladder.predict import run_folder
from stepladder.promises import in_words, promises, score
from stepladder.report import write_report
from stepladder.report.drawings import AccuracyAxis
from stepladder.report.scale import Scale
from stepladder.report.story import render_markdown, render_page, write_story
from stepladder.report.story_text import brief_clock, changes_text
from stepladder.spec import Experiment
from stepladder.workers import Job, train_here
from story_facts import NORMALISED, PIXEL, advised, climb, row, step

EVIL = "</script><img src=x onerror=\"document.title='taken'\"> & | “more”"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished climb: its decisions are made by hand, its final net is trained for an epoch."""
    made = tmp_path_factory.mktemp("story")
    values = {"net": NORMALISED, "data": "mnist-sample", "recipe": {"epochs": 1, "augmentation": {"rotation": 7}}}
    experiment = Experiment.read(values, "the test")
    train_here(Job("final", experiment, made / "runs" / "final"), lambda _: None, data_dir=None, device=None, threads=1)
    keep(made, climb(["final", "another"]))
    write_story(made, data.load("mnist-sample"))
    return made


def keep(folder: Path, facts: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / DECISIONS).write_text(json.dumps(facts), encoding="utf-8")
    return folder


# What follows from the facts


def test_effects_are_in_order_and_complete(folder: Path) -> None:
    rows = story.effects(story.read(folder))
    assert [one["name"] for one in rows] == [
        "batch normalisation", "pool earlier", "dropout 0.1", "dropout 0.05", "deep",
    ]  # fmt: skip
    assert [one["name"] for one in rows if one["taken"]] == ["batch normalisation", "pool earlier"]


def test_the_path_has_a_point_for_every_step_that_changed_something(folder: Path) -> None:
    points = story.path(story.read(folder))
    assert [one["numbers"] for one in points] == [[1], [2, 3], [4], []]
    assert [one["split"] for one in points] == ["holdout"] * 3 + ["test"]
    assert points[-1]["accuracy"] == pytest.approx(97.4)


def test_runs_that_stand_in_several_steps_are_counted_once(folder: Path) -> None:
    tally = story.tally(story.read(folder))
    # Two each of: plain, deep, what stands (in three steps), batch normalisation, dropout 0.1, pool earlier, final.
    assert tally["runs"] == 2 * 7 + 1
    assert tally["training"] == 4 * 10 + 5
    assert (tally["keep"], tally["drop"], tally["undecided"], tally["failed"], tally["taken"]) == (2, 1, 2, 1, 2)


@pytest.mark.parametrize(
    ("verdict", "came", "outcome"),
    [
        ("keep", [1.9, 0.4, 3.4], "kept"),
        ("keep", [0.2, 0.1, 0.3], "kept"),
        ("keep", [9.0, 7.0, 11.0], "kept"),
        ("keep", [0.1, 0.0, 0.2], "broken"),
        ("undecided", [1.92, -1.14, 4.98], "open"),
        ("undecided", [3.0, 2.0, 4.0], "open"),
        ("undecided", [-0.5, -1.2, 0.2], "broken"),
        ("drop", [0.1, -0.2, 0.4], "broken"),
        ("cannot be trained", None, "broken"),
    ],
)
def test_a_promise_is_kept_by_what_the_step_kept_and_open_where_its_runs_do_not_tell(
    verdict: str, came: list[float] | None, outcome: str
) -> None:
    rows = [row("what stands", [93.0, 94.0]), row("advised", [95.0, 95.5], failure="" if came else "cannot be trained")]
    facts = {"steps": [step("Advised", "what stands", *rows, advice=advised([0.24, 1.95], came, verdict))]}
    assert [one["outcome"] for one in promises(facts)] == [outcome]
    assert in_words(promises(facts)[0]).endswith(f": {outcome}")


def test_what_cannot_be_measured_because_what_stood_came_apart_leaves_its_promise_open() -> None:
    rows = [row("what stands", [93.0], failure="cannot be trained with seed 1"), row("advised", [95.0, 95.5])]
    facts = {"steps": [step("Advised", "advised", *rows, advice=advised([0.24, 1.95], None, "cannot be trained"))]}
    assert [one["outcome"] for one in promises(facts)] == ["open"]


def test_the_score_counts_what_was_kept_what_is_open_and_what_was_broken(folder: Path) -> None:
    facts = story.read(folder)
    assert [one["outcome"] for one in promises(facts)] == ["broken", "kept"]
    assert score(facts) == "kept 1, open 0, broken 1"
    facts["steps"][2]["advice"]["promised"] = [0.3, 0.9]
    assert score(facts) == "kept 1, open 1, broken 0"
    for text in (render_page(facts), render_markdown(facts)):
        assert "Kept 1, open 1, broken 0" in text
        for words in ("✓ kept", "? open", "open where these runs do not tell"):
            assert words in text
        assert "✗ broken" not in text


def test_a_climb_that_followed_no_advice_says_so_and_why(folder: Path) -> None:
    facts = story.read(folder)
    steps = [one | {"advice": None} for one in facts["steps"]]
    for text in (render_page(facts | {"steps": steps}), render_markdown(facts | {"steps": steps})):
        assert "Advice, and what came of it" not in text
    none = facts | {"steps": steps, "why_it_ended": "there was no time for 'Widen all layers'"}
    for text in (render_page(none), render_markdown(none)):
        assert "Advice, and what came of it" in text
        assert "No advice was followed: there was no time for" in text
    for text in (render_page(none | {"steps": facts["steps"]}), render_markdown(none | {"steps": facts["steps"]})):
        assert "The climb ended because there was no time for" in text


def test_what_speaks_for_advice_stands_beneath_its_question(folder: Path) -> None:
    facts = story.read(folder)
    for text in (render_page(facts), render_markdown(facts)):
        question, evidence = text.index("What is dropout worth?"), text.index("Evidence: The gap is wide.")
        assert 0 < evidence - question < 200


def test_the_goal_is_met_by_the_mean_of_the_seeds_below_the_budget() -> None:
    facts = climb(["final"])
    assert story.is_met(facts)
    assert [one["passes"] for one in story.checks(facts)] == [True, True, None]
    assert "is met" in story.verdict(facts)
    facts["goal"]["target"] = 97.5
    assert not story.is_met(facts)
    assert "not met by 0.10 points" in story.verdict(facts)
    facts["goal"] |= {"target": 97.0, "budget": 600}
    assert "not below the budget" in story.verdict(facts)


def test_what_an_earlier_version_left_out_is_none(tmp_path: Path) -> None:
    facts = climb(["final"])
    for name in ("plan", "preflight", "seconds", "precision"):
        del facts[name]
    for one in facts["steps"]:
        del one["advice"], one["seconds"], one["epochs"], one["range_test"]
        for candidate in one["candidates"]:
            del candidate["curve"], candidate["runs"], candidate["seconds"], candidate["learning_rate"]
    assert story.tally(story.read(keep(tmp_path, facts)))["runs"] is None
    text = write_story(tmp_path).html.read_text(encoding="utf-8")
    assert "Pre-flight" not in text
    assert "small-curves" not in text.partition("</style>")[2]


def test_both_pages_show_what_the_net_is_given_and_an_older_climb_has_no_such_sheet(
    folder: Path, tmp_path: Path
) -> None:
    pages = write_story(folder)
    for text in (pages.html.read_text(encoding="utf-8"), pages.markdown.read_text(encoding="utf-8")):
        assert "black is −0.427, white 2.81" in text
        assert "a class whose name is far longer than its pictures are wide" in text
        assert "330 to 1,200" in text
    page = pages.html.read_text(encoding="utf-8")
    assert page.count('alt="inputs labelled ') == 3
    assert page.index("What the net is given") < page.index('<section id="climb">')
    assert PIXEL in (folder / "pictures" / "inputs.svg").read_text(encoding="utf-8")
    facts = climb()
    del facts["preflight"]["inputs"]
    older = write_story(keep(tmp_path, facts))
    assert "What the net is given" not in older.html.read_text(encoding="utf-8")
    assert "inputs.svg" not in older.markdown.read_text(encoding="utf-8")


# The scales


@given(st.floats(0.5, 100), st.floats(-100, 100), st.floats(-100, 100))
def test_on_the_scale_more_is_further_right_and_nought_is_in_the_middle(limit: float, one: float, two: float) -> None:
    scale = Scale(limit)
    assert scale.at(0) == 50
    assert 0 <= scale.at(one) <= 100
    assert scale.at(one) + scale.at(-one) == pytest.approx(100)
    assert (scale.at(one) - scale.at(two)) * (one - two) >= 0


@given(st.lists(st.tuples(st.floats(-100, 100), st.floats(0, 90)), min_size=1, max_size=20))
def test_every_difference_is_inside_the_scale_and_its_axis_has_room(pairs: list[tuple[float, float]]) -> None:
    scale = Scale.of([{"points": points, "low": points - half, "high": points + half} for points, half in pairs])
    assert all(abs(points) <= scale.limit or scale.limit == 100 for points, _ in pairs)
    places = [scale.at(tick) for tick in scale.ticks()]
    assert 50 in places
    assert all(second - first >= 10.4 for first, second in pairwise(places))


@given(st.floats(1, 60), st.floats(0.1, 0.9))
def test_halving_the_errors_is_the_same_way_everywhere(error: float, share: float) -> None:
    axis = AccuracyAxis.of([20, 99.9], 0, 300)
    way = axis.at(100 - error) - axis.at(100 - error / 2)
    assert way == pytest.approx(axis.at(100 - share * error) - axis.at(100 - share * error / 2))
    assert way > 0


# The pages


def test_both_pages_tell_every_candidate_with_its_difference_and_verdict(folder: Path) -> None:
    facts = story.read(folder)
    signs = {"keep": "✓ keep", "drop": "✗ drop", "undecided": "? undecided"}
    pages = write_story(folder)
    for text in (pages.html.read_text(encoding="utf-8"), pages.markdown.read_text(encoding="utf-8")):
        assert "97.40 ± 0.28% with 600 parameters" in text
        for one in facts["steps"]:
            assert one["question"] in text
            for candidate in one["candidates"]:
                assert candidate["name"] in text
                if decision := candidate["decision"]:
                    assert f"{decision['points']:+.2f}" in text
                    assert signs[decision["verdict"]] in text
                    assert decision["settles"] is None or decision["settles"] in text
        assert "its loss is no number any more" in text
        assert "Left out, for there is no time: Optimiser." in text
        assert "Kept 1, open 0, broken 1" in text


def test_zero_is_at_one_place_in_all_drawings_of_differences(folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    drawings = re.findall(r'<svg class="interval".*?</svg>', text, re.DOTALL)
    # Legend, glance, candidates that could be trained, effects, advice.
    assert len(drawings) == 3 + 4 + 9 + 5 + 2
    assert all('class="zero" x1="50.00%"' in one for one in drawings)


def test_every_picture_of_the_markdown_is_there_and_is_svg(folder: Path) -> None:
    links = re.findall(r"\]\((pictures/[^)]+)\)", (folder / "report.md").read_text(encoding="utf-8"))
    assert {"path", "effects", "architecture", "errors", "augmentation"} <= {Path(one).stem for one in links}
    for link in links:
        ElementTree.parse(folder / link)


def test_the_report_is_rendered_again_without_data(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(data, "load", None)
    before = {path: path.read_bytes() for path in (folder / "report.html", folder / "report.md")}
    for path in before:
        path.unlink()
    app(["report", str(folder)], standalone_mode=False)
    assert capsys.readouterr().out.split() == [str(path) for path in before]
    assert {path: path.read_bytes() for path in before} == before


def test_exhibits_of_another_final_net_are_not_shown(folder: Path, tmp_path: Path) -> None:
    keep(tmp_path, climb(["extended"]))
    (tmp_path / story.EXHIBITS).write_bytes((folder / story.EXHIBITS).read_bytes())
    assert story.read(tmp_path)["exhibits"] is None
    assert 'id="living"' not in write_story(tmp_path).html.read_text(encoding="utf-8")


def test_a_climb_under_way_is_told_as_far_as_it_has_come(tmp_path: Path) -> None:
    facts = climb()
    facts["steps"] = facts["steps"][:2]
    text = write_story(keep(tmp_path, facts), data.load("mnist-sample")).html.read_text(encoding="utf-8")
    assert "97.25 ± 0.35% on held-out images so far" in text
    assert "Under way" in text
    assert "on the test set" not in text


def test_what_is_asked_of_a_climb_is_asked_of_its_final_net(folder: Path, tmp_path: Path) -> None:
    assert run_folder(folder) == folder / "runs" / "final"
    assert subject_of(str(folder)).word == "a run"
    with pytest.raises(RunError, match="no final net yet"):
        run_folder(keep(tmp_path, climb()))


def test_a_step_with_nothing_to_try_says_so(tmp_path: Path) -> None:
    facts = climb()
    facts["steps"] = [step("Skeleton", "plain", row("plain", [93.0]), key="skeleton")]
    assert "nothing to try" in write_story(keep(tmp_path, facts)).html.read_text(encoding="utf-8")


def test_changes_of_the_recipe_in_words() -> None:
    changes = {
        "schedule": {"kind": "step", "every": 5, "factor": 0.1}, "augmentation": {"rotation": 7.0, "shift": 0},
        "learning_rate": 0.15, "nesterov": False,
    }  # fmt: skip
    long = "schedule step (every 5, factor 0.1), augmentation: rotation 7, learning rate 0.15, nesterov off"
    assert changes_text(changes) == long
    assert changes_text(changes, brief=True) == "schedule step, augmentation: rotation 7, nesterov off"


def test_durations_for_a_narrow_column() -> None:
    assert [brief_clock(one) for one in (0.4, 59.4, 60, 754, 3600, 7530)] == [
        "0 s", "59 s", "1:00 min", "12:34 min", "1:00 h", "2:06 h",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no facts to report"),
        ("{", "no climb of a ladder that asks questions"),
        ('{"format": 99}', "another version"),
        ('{"format": 1, "steps": []}', "no question yet"),
        (json.dumps({name: value for name, value in climb().items() if name != "goal"}), "damaged"),
    ],
)
def test_what_is_no_climb_is_refused_with_one_message(content: str | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / DECISIONS).write_text(content, encoding="utf-8")
    with pytest.raises(RunError, match=message):
        write_report(tmp_path)


def test_damaged_exhibits_are_named(tmp_path: Path) -> None:
    keep(tmp_path, climb(["final"]))
    (tmp_path / story.EXHIBITS).write_text("[]", encoding="utf-8")
    with pytest.raises(RunError, match="damaged"):
        write_story(tmp_path)


# In a browser


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_it_is_accessible_fits_and_asks_for_nothing(browser: Browser, folder: Path, scheme: str, width: int) -> None:
    path = folder / "report.html"
    window = open_page(browser, path, viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = window.page
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for summary in page.locator("details summary").all():
        summary.click()
    findings = Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"][:150]) for one in findings] == []
    assert [url for url in window.requests if not url.startswith("data:")] == [path.as_uri()]
    assert window.complaints == []
    page.context.close()


def test_the_words_of_the_range_test_are_whole_and_apart(browser: Browser, tmp_path: Path) -> None:
    for number, (suggested, highest) in enumerate(((0.03, 0.3), (0.03, 9.0), (2.0, 9.0), (0.0003, 0.001))):
        facts = climb()
        facts["preflight"]["range_test"] |= {"suggested": suggested, "highest": highest, "losses": [2.3, 2, 1, 1, 1, 1]}
        path = write_story(keep(tmp_path / str(number), facts)).html
        window = open_page(browser, path, viewport={"width": 1280, "height": 844})
        drawing = window.page.locator("#before svg.small-curves")
        whole = drawing.bounding_box()
        words = [drawing.locator("text", has_text=word).bounding_box() for word in ("suggested", "highest")]
        assert whole is not None
        one, other = (box for box in words if box is not None)
        assert all(box["x"] + box["width"] <= whole["x"] + whole["width"] + 0.5 for box in (one, other))
        assert one["x"] + one["width"] <= other["x"] or one["y"] + one["height"] <= other["y"] + 1
        window.page.context.close()


def test_the_final_net_lives_in_the_page(browser: Browser, folder: Path) -> None:
    window = open_page(browser, folder / "report.html", viewport={"width": 1280, "height": 900})
    page = window.page
    page.locator("#examples button").first.click()
    assert re.search(r"says \d ", page.locator("#says").inner_text())
    assert page.locator("#climb .questions > li").count() == 4
    assert page.locator("#way svg.path:visible").count() == 1
    assert page.pdf(format="A4").startswith(b"%PDF")
    assert window.complaints == []
    page.context.close()


def test_names_are_text_and_nothing_else(browser: Browser, tmp_path: Path) -> None:
    facts = climb()
    facts["title"] = facts["steps"][1]["title"] = facts["steps"][1]["taken"] = EVIL
    facts["steps"][1]["candidates"][1]["name"] = EVIL
    window = open_page(browser, write_story(keep(tmp_path, facts)).html)
    assert window.page.locator("img[src=x]").count() == 0
    assert window.page.locator("#step-2 h3").inner_text().endswith(EVIL)
    assert window.complaints == []
    window.page.context.close()
    ElementTree.parse(tmp_path / "pictures" / "effects.svg")

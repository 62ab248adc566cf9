"""What other tools that inspect nets say, each of them run: a tool that gets mended makes a test fail that says so."""

from __future__ import annotations

import functools

import pytest

import peers
from peer_questions import QUESTIONS
from peer_tools import TOOLS, Answer

TOOL = {tool.name: tool for tool in TOOLS}

# The mistakes, with what each tool says in place of the right answer, which stands in the question.
COUNTS = [
    ("a bare parameter beside layers: 27", "torchsummary", "20"),
    ("a bare parameter beside layers: 27", "thop", "20"),
    ("one convolution called three times: 38", "torchsummary", "114"),
    ("a layer that is never called: 10,120", "torchsummary", "20"),
    ("a layer that is never called: 10,120", "thop", "20"),
    ("one ReLU shared by several blocks: 120", "torchinfo", "160"),
    ("embedding and head tied: 40", "torchinfo", "80"),
    ("frozen weight, live bias: 2 trainable", "torchsummary", "0"),
    ("batch-norm's row: 4, its buffers apart", "torch-scan", "9"),
]
HARM = [
    ("batch-norm statistics", "torchsummary", "moves them"),
    ("modes, with a frozen batch-norm", "torchinfo", "sets it to training"),
    ("modes, with a frozen batch-norm", "thop", "sets it to training"),
    ("random generators", "torchsummary", "draws"),
    ("random generators", "torchinfo", "draws"),
    ("random generators", "torch-scan", "draws"),
    ("keys of the state_dict", "thop", "adds keys"),
    ("all of it after an exception, which is told", "torchsummary", "hooks left changed"),
    ("all of it after an exception, which is told", "torchinfo", "modes left changed"),
]
FIELDS = [
    # Each layer's own kernel, with its dilation.
    ("two 3×3 convolutions: 5", "torch-scan", "3"),
    ("pooling called as a function: 8", "torch-scan", "3"),
    ("dilation: 7", "torch-scan", "5"),
    ("branches: 5", "torch-scan", "3"),
    ("transposed convolution: 2", "torch-scan", "-2"),
    ("dilation: 7", "rfa_toolbox", "5"),
    ("transposed convolution: 2", "rfa_toolbox", "4"),
]
MACS = [
    ("a linear layer over a sequence: 320", "torchinfo", "32"),
    ("a matrix product without a layer: 800", "torchinfo", "0"),
    ("a matrix product without a layer: 800", "thop", "0"),
]


@functools.cache
def asked(name: str) -> dict[str, Answer]:
    """Return what the tool now says to each question, or skip the test."""
    tool = TOOL[name]
    if tool.version is None:
        pytest.skip(f"{tool.package} is not installed")
    return {row["question"]: Answer(row["verdict"], row["said"]) for row in peers.ask(tool)}


@pytest.mark.parametrize(("question", "name", "said"), [*COUNTS, *HARM, *FIELDS, *MACS])
def test_the_mistake_is_still_made(question: str, name: str, said: str) -> None:
    answer = asked(name)[question]
    assert answer == Answer("wrong", said), (
        f"{name} {TOOL[name].version} may have been mended: asked for '{question}', it now answers '{answer}'. "
        "If that is right, take the line out of this test and run: python benchmarks/peers.py"
    )


@pytest.mark.parametrize("name", [tool.name for tool in TOOLS])
def test_the_stored_answers_are_what_the_tool_says(name: str) -> None:
    now = asked(name)
    stored = {row["question"]: Answer(row["verdict"], row["said"]) for row in peers.read() if row["tool"] == name}
    assert now == stored, f"{name} {TOOL[name].version} answers otherwise than stored; run: python benchmarks/peers.py"


def test_stepladder_is_right_everywhere() -> None:
    assert [
        f"{question}: {answer}" for question, answer in asked("stepladder").items() if answer.verdict != "yes"
    ] == []


def test_the_table_in_the_page_is_that_of_the_stored_answers() -> None:
    page = peers.PAGE.read_text(encoding="utf-8")
    between = page.partition(f"<!-- {peers.MARK} -->\n")[2].partition(f"<!-- end of {peers.MARK} -->")[0]
    assert between == peers.table(peers.read()), "run: python benchmarks/peers.py --render"


def test_every_question_was_put_to_every_tool() -> None:
    put = {(row["tool"], row["question"]) for row in peers.read()}
    assert put == {(tool.name, question.text) for tool in TOOLS for question in QUESTIONS}


def test_questions_have_texts_of_their_own() -> None:
    texts = [question.text for question in QUESTIONS]
    assert len(set(texts)) == len(texts)

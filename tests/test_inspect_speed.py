"""The page says of the speed of inspection what the rows say."""

from __future__ import annotations

import pytest

import inspect_speed
from contest import read_rows
from zoo import ZOO


def turn(number: int, who: str, call: str, amount: int, seconds: float) -> dict[str, object]:
    return {"round": number, "contestant": who, "call": call, "amount": amount, "seconds": seconds}


def test_ratios_are_those_of_times_within_a_round() -> None:
    rows = [
        row
        for number, speed in enumerate((1, 2, 3))  # the machine gets slower; the ratio holds
        for row in (
            turn(number, inspect_speed.OURS, inspect_speed.LATER, 2, 0.8 * speed),
            turn(number, inspect_speed.TORCHINFO, inspect_speed.LATER, 2, 1.6 * speed),
            turn(number, inspect_speed.OURS, inspect_speed.FIRST, 1, 0.3 * speed),
            turn(number, inspect_speed.TORCHINFO, inspect_speed.FIRST, 1, 0.4 * speed),
        )
    ]
    big = turn(0, inspect_speed.BILLION, inspect_speed.FIRST, 1, 1.5)
    big |= {"peak_bytes_before": 200 * 2**20, "peak_bytes": 300 * 2**20, "parameters": 10**9}
    text = inspect_speed.text([*rows, big])
    assert "| stepladder | 0.60 (0.30–0.90) | 0.80 (0.40–1.20) | 0.75 (0.75–0.75) | 0.50 (0.50–0.50) |" in text
    assert "| torchinfo | 0.80 (0.40–1.20) | 1.60 (0.80–2.40) |  |  |" in text
    assert inspect_speed.ON_META not in text
    assert "1,000,000,000 parameters" in text
    assert "1.50 (1.50–1.50) s" in text
    assert "300 (300–300) MiB" in text


def test_the_page_is_that_of_the_rows() -> None:
    stored = read_rows(inspect_speed.NAME)
    assert stored is not None
    page = inspect_speed.PAGE.read_text(encoding="utf-8")
    between = page.partition("<!-- inspect speed -->\n")[2].partition("<!-- end of inspect speed -->")[0]
    assert between == inspect_speed.text(stored[1]), "run: python benchmarks/inspect_speed.py --render"


def test_all_contestants_describe_the_same_net(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.set_num_threads", lambda threads: None)
    monkeypatch.setitem(ZOO, "resnet152", ZOO["resnet18"])  # which is there sooner
    texts = [inspect_speed.describer(who)() for who in inspect_speed.CONTESTANTS]
    assert all("11,689,512" in text for text in texts)

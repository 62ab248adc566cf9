"""Advice on a climb says what the climb found out about a technique already."""

from __future__ import annotations

from typing import Any

from stepladder.asked_before import answers


def candidate(name: str, points: float = 0.0, verdict: str = "undecided", **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "changes": changes,
        "decision": {"points": points, "low": points - 0.3, "high": points + 0.3, "verdict": verdict},
    }


def step(title: str, technique: str, *candidates: dict[str, Any], taken: str = "what stands") -> dict[str, Any]:
    stands = {"name": "what stands", "changes": {}, "decision": None}
    return {"title": title, "technique": technique, "taken": taken, "candidates": [stands, *candidates]}


def test_the_best_of_what_was_tried_in_vain_is_told() -> None:
    shift, rotation = {"augmentation": {"shift": 1.0}}, {"augmentation": {"rotation": 7.0}}
    augmentation = step(
        "Augmentation",
        "augmentation",
        candidate("rotation", -0.2, "drop", **rotation),
        candidate("shift", 0.05, **shift),
    )
    assert answers([augmentation]) == {
        "augmentation": "the step 'Augmentation' tried it, and kept nothing; best of 2 was shift: "
        "+0.05 points, −0.25 to +0.35, undecided"
    }


def test_of_a_technique_of_which_something_was_taken_nothing_is_told() -> None:
    assert answers([step("Dropout", "dropout", candidate("dropout 0.05", 0.5, "keep"), taken="dropout 0.05")]) == {}


def test_candidates_of_a_recipe_are_known_by_their_fields() -> None:
    told = answers(
        [
            step(
                "Optimiser",
                "recipe",
                candidate("AdamW", -0.1, "drop", optimiser="adamw", weight_decay=0.01, learning_rate=0.003),
            ),
            step("Regularisation", "recipe", candidate("label smoothing 0.05", 0.1, label_smoothing=0.05)),
        ]
    )
    assert set(told) == {"optimiser", "label smoothing"}, "AdamW's own weight decay is no answer about weight decay"
    assert told["optimiser"].endswith("best was AdamW: −0.10 points, −0.40 to +0.20, dropped")


def test_a_candidate_that_could_not_be_trained_is_no_answer() -> None:
    failed = {"name": "batch normalisation", "changes": {}, "decision": None}
    assert answers([step("Batch normalisation", "batch-normalisation", failed)]) == {}

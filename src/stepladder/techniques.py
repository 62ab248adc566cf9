"""Techniques: each takes what stands and says what could be tried instead. Others can be added as entry points."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from typing import Any

from stepladder.blueprint import Blueprint
from stepladder.errors import SpecError
from stepladder.layers import Shape
from stepladder.spec import Recipe
from stepladder.trials import Trial

_SAME_SIZE = 0.05
"""Share of the parameters by which nets have to differ in size to be compared."""
ENTRY_POINTS = "stepladder.techniques"
"""The group of entry points that techniques of other packages are found by."""


@dataclass(frozen=True)
class Standing:
    """What has been kept so far, and what it is for.

    Args:
        blueprint: the net.
        recipe: how it is trained.
        image: (channels, rows, columns).
        budget: the parameters that the net has to stay below.
        suggested_rate: the learning rate that a range test suggests; None if none was made.
    """

    blueprint: Blueprint
    recipe: Recipe
    image: Shape
    budget: int
    suggested_rate: float | None = None

    @property
    def trial(self) -> Trial:
        """Return the net in one line and how it is trained."""
        return Trial(self.blueprint.net, self.recipe)

    def with_recipe(self, **changes: Any) -> Standing:
        """Return the same net with some fields of the recipe changed."""
        return replace(self, recipe=Recipe.read({**self.recipe.model_dump(), **changes}, "the recipe"))

    def with_net(self, blueprint: Blueprint) -> Standing:
        """Return the same recipe with another net."""
        return replace(self, blueprint=blueprint)


Variant = tuple[str, Standing]
"""What to try: a name, and what would stand if it were kept."""
Offer = tuple[str, Standing | str]
"""What a technique gives: something to try, or in its place why there is nothing, as "has no place in this net"."""

KINDS: dict[str, dict[str, float]] = {
    "rotation": {"rotation": 7},
    "shift": {"shift": 1},
    "scale": {"scale": 0.1},
    "shear": {"shear": 5},
    "large rotation": {"rotation": 45},
    "horizontal flip": {"horizontal_flip": 0.5},
    "vertical flip": {"vertical_flip": 0.5},
}
"""Kinds of augmentation, by what people call them: degrees, pixels, shares, probabilities."""

Technique = Callable[..., Iterable[Offer]]
"""Takes what stands and the options that the ladder's file gives it, by name."""


def batch_normalisation(standing: Standing) -> Iterable[Variant]:
    """Scale each channel to mean 0 and deviation 1 over the batch, after every convolution.

    Where there is no room in the budget for its own parameters, all layers are narrowed alike.
    """
    normed = replace(standing.blueprint, norm=True)
    parameters = normed.parameters(standing.image)
    if parameters is not None and parameters >= standing.budget:
        normed = normed.widened(standing.image, standing.budget)
    yield "batch normalisation", standing.with_net(normed)


def global_average_pooling(standing: Standing) -> Iterable[Variant]:
    """Average each map before the last layer, in place of weighing each of its places.

    What that frees goes into wider layers, up to the parameters that the net had: so both are asked for the same price.
    """
    averaged = replace(standing.blueprint, dense=False)
    had = standing.blueprint.parameters(standing.image)
    yield "global average pooling", standing.with_net(averaged.widened(standing.image, had or standing.budget))


def capacity(standing: Standing, shares: Sequence[float] = (0.5, 1.0)) -> Iterable[Offer]:
    """Widen all layers alike until a share of the budget is used; then spend all of it more on early or late layers."""
    stands = standing.blueprint.parameters(standing.image) or 0
    for share in shares:
        wider = standing.blueprint.widened(standing.image, round(share * standing.budget))
        # A twentieth more or less is the same net for twice the work.
        if abs((wider.parameters(standing.image) or 0) - stands) > _SAME_SIZE * stands:
            yield f"{share:.0%} of the budget", standing.with_net(wider)
        else:
            yield f"{share:.0%} of the budget", "is the size of what stands already"
    for name, tilt in (("more for early layers", -1), ("more for late layers", 1)):
        tilted = standing.blueprint.tilted(tilt).widened(standing.image, standing.budget)
        yield f"all of the budget, {name}", standing.with_net(tilted)


def pooling_position(standing: Standing) -> Iterable[Offer]:
    """Pool one convolution earlier, or one later; widths stay, so that only the place differs."""
    for name, by in (("pool earlier", -1), ("pool later", 1)):
        moved = standing.blueprint.with_pooling_moved(by)
        yield name, standing.with_net(moved) if moved is not None else "has no place in this net"


def dropout(standing: Standing, shares: Sequence[float] = (0.05, 0.1)) -> Iterable[Variant]:
    """Drop a share of the values after every convolution while training."""
    for share in shares:
        yield f"dropout {share:g}", standing.with_net(replace(standing.blueprint, dropout=share))


def augmentation(standing: Standing, kinds: dict[str, dict[str, float]] | None = None) -> Iterable[Variant]:
    """Vary every image anew each time that it is seen: each kind by itself."""
    stands = standing.recipe.augmentation.model_dump()
    for name, limits in (kinds or KINDS).items():
        yield name, standing.with_recipe(augmentation=stands | limits)


def learning_rate(standing: Standing, factors: Sequence[float] = (1 / 3, 3.0)) -> Iterable[Variant]:
    """Retune the learning rate, whose best value other steps may have shifted."""
    for factor in factors:
        rate = float(f"{standing.recipe.learning_rate * factor:.2g}")
        yield f"learning rate {rate:g}", standing.with_recipe(learning_rate=rate)
    suggested = standing.suggested_rate
    # Rates closer than a quarter give the same net.
    if suggested is not None and not any(
        0.8 < suggested / standing.recipe.learning_rate / factor < 1.25 for factor in (1.0, *factors)
    ):
        rate = float(f"{suggested:.2g}")
        yield f"learning rate {rate:g} of the range test", standing.with_recipe(learning_rate=rate)


def schedule(standing: Standing) -> Iterable[Variant]:
    """Let the learning rate change while the net is trained."""
    epochs = standing.recipe.epochs
    yield "constant", standing.with_recipe(schedule={"kind": "constant"})
    yield "StepLR", standing.with_recipe(schedule={"kind": "step", "every": max(1, epochs // 3)})
    # A fifth of the epochs without improvement is a plateau; more would be past the end of a short training.
    patience = max(0, epochs // 5 - 1)
    yield "ReduceLROnPlateau", standing.with_recipe(schedule={"kind": "plateau", "patience": patience})
    yield "cosine", standing.with_recipe(schedule={"kind": "cosine"})
    # A cycle starts at a fraction of its peak, which it holds for a moment only: it can be several times as high.
    rate = float(f"{3 * standing.recipe.learning_rate:.2g}")
    yield "OneCycleLR", standing.with_recipe(schedule={"kind": "one-cycle"}, learning_rate=rate)


def recipe(standing: Standing, changes: dict[str, dict[str, Any]]) -> Iterable[Variant]:
    """Change fields of the recipe: for each candidate's name the fields."""
    for name, fields in changes.items():
        if "epochs" in fields:
            raise SpecError(
                "a candidate cannot have epochs of its own: all of a step are trained equally long",
                given=f"{name}: epochs = {fields['epochs']}",
                repair="leave it out; --epochs are those of the goal, a step's own epochs its share of them",
            )
        yield name, standing.with_recipe(**fields)


BUILT_IN: dict[str, Technique] = {
    "batch-normalisation": batch_normalisation,
    "global-average-pooling": global_average_pooling,
    "capacity": capacity,
    "pooling-position": pooling_position,
    "dropout": dropout,
    "augmentation": augmentation,
    "learning-rate": learning_rate,
    "schedule": schedule,
    "recipe": recipe,
}


def technique(name: str) -> Technique:
    """Return a technique by its name: built in, or an entry point of the group ``stepladder.techniques``.

    Raises:
        SpecError: if there is none of this name.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    added = {one.name: one for one in entry_points(group=ENTRY_POINTS)}
    if name not in added:
        import difflib

        known = [*BUILT_IN, *added]
        nearest = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean '{nearest[0]}'? " if nearest else ""
        raise SpecError("there is no technique of this name", given=name, repair=f"{hint}known: {', '.join(known)}")
    try:
        found: Technique = added[name].load()
    except Exception as error:  # whatever its module does when it is imported
        raise SpecError(
            "the technique of another package cannot be loaded",
            given=f"{name} = {added[name].value} ({type(error).__name__}: {error})",
            repair="install that package again, or take its step out of the ladder",
        ) from error
    return found

"""Frozen values that decide a result: Recipe and Experiment, checked all at once, in and out of TOML."""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from typing import Annotated, Any, Literal, Self

import tomli_w
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from stepladder.errors import NotationError, SpecError
from stepladder.notation import Net

FORMAT = 1
"""Of experiments as TOML."""

Probability = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class Spec(BaseModel):
    """A frozen value with named, documented fields; unknown names are refused with the nearest known one."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @classmethod
    def read(cls, values: object, subject: str) -> Self:
        """Return the checked value.

        Raises:
            SpecError: with every mistake at once, each with its place and, for names, the nearest known one.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise SpecError.of(subject, [_mistake(cls, item) for item in error.errors()]) from None

    @classmethod
    def mistakes(cls, values: object) -> list[str]:
        """Return what is wrong with single fields of a value; that some do not go together is no mistake here."""
        try:
            cls.model_validate(values)
        except ValidationError as error:
            return [_mistake(cls, item) for item in error.errors() if item["loc"]]
        return []


class Constant(Spec):
    """The same learning rate throughout."""

    kind: Literal["constant"] = "constant"


class StepDecay(Spec):
    """The learning rate is multiplied by ``factor`` every ``every`` epochs (torch's StepLR)."""

    kind: Literal["step"] = "step"
    every: Annotated[int, Field(ge=1)] = 5
    """Epochs between two reductions."""
    factor: Annotated[float, Field(gt=0, le=1)] = 0.1
    """What the learning rate is multiplied by."""


class MultiStepDecay(Spec):
    """The learning rate is multiplied by ``factor`` after each epoch of ``at`` (torch's MultiStepLR)."""

    kind: Literal["multi-step"] = "multi-step"
    at: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (8, 12)
    """Finished epochs after which the learning rate drops."""
    factor: Annotated[float, Field(gt=0, le=1)] = 0.1
    """What the learning rate is multiplied by."""


class Plateau(Spec):
    """The learning rate drops when the training loss stops falling (torch's ReduceLROnPlateau).

    It watches the training loss, or the holdout loss where there is a holdout: never the test set.
    """

    kind: Literal["plateau"] = "plateau"
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """What the learning rate is multiplied by."""
    patience: Annotated[int, Field(ge=0)] = 2
    """Epochs without improvement that are waited for."""
    threshold: Annotated[float, Field(ge=0)] = 1e-4
    """The relative improvement that counts as one."""


class Cosine(Spec):
    """The learning rate falls along half a cosine, batch by batch (torch's CosineAnnealingLR)."""

    kind: Literal["cosine"] = "cosine"
    final: Annotated[float, Field(ge=0)] = 0.0
    """The learning rate at the last batch."""


class OneCycle(Spec):
    """The learning rate rises to its peak and falls to almost nothing, batch by batch (torch's OneCycleLR)."""

    kind: Literal["one-cycle"] = "one-cycle"
    warm_up: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """The share of all batches that the rise takes."""
    start_divisor: Annotated[float, Field(ge=1)] = 25.0
    """The peak is this many times the first learning rate."""
    final_divisor: Annotated[float, Field(ge=1)] = 1e4
    """The first learning rate is this many times the last."""


_SCHEDULES: tuple[type[BaseModel], ...] = (Constant, StepDecay, MultiStepDecay, Plateau, Cosine, OneCycle)
Schedule = Annotated[Constant | StepDecay | MultiStepDecay | Plateau | Cosine | OneCycle, Field(discriminator="kind")]


class Augmentation(Spec):
    """Limits of the affine map that each training image gets, drawn anew each time; 0 turns a kind off."""

    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Largest rotation in degrees, either way."""
    shift: Annotated[float, Field(ge=0)] = 0.0
    """Largest shift in pixels, along each axis, either way."""
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Largest change of size, as a share: 0.1 means from 90% to 110%."""
    shear: Annotated[float, Field(ge=0, lt=90)] = 0.0
    """Largest shear in degrees, either way."""
    horizontal_flip: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Probability that left and right change places."""
    vertical_flip: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Probability that top and bottom change places."""

    @property
    def is_none(self) -> bool:
        """Whether every kind is off."""
        return not self.limits()

    def __str__(self) -> str:
        """Return the kinds in use, such as ``rotation 7°, horizontal flip 50%``, or ``none``."""
        return ", ".join(f"{kind.replace('_', ' ')} {amount}" for kind, (_, amount) in self.limits().items()) or "none"

    def limits(self) -> dict[str, tuple[float, str]]:
        """Return the limit of each kind in use, as a number and as text with its unit, by the field's name.

        That of a flip is its probability.
        """
        kinds = {
            "rotation": (self.rotation, f"{self.rotation:g}°"),
            "shift": (self.shift, f"{self.shift:g} px"),
            "scale": (self.scale, f"{self.scale:.0%}"),
            "shear": (self.shear, f"{self.shear:g}°"),
            "horizontal_flip": (self.horizontal_flip, f"{self.horizontal_flip:.0%}"),
            "vertical_flip": (self.vertical_flip, f"{self.vertical_flip:.0%}"),
        }
        return {kind: limit for kind, limit in kinds.items() if limit[0]}

    @model_serializer(mode="wrap")
    def _without_unused_later_fields(self, inner: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_unused(self, inner(self))


_LATER = {
    "matrix_rate",
    "bias_rate",
    "tail_averaging",
    "lookahead",
    "initialisation",
    "first_layer",
    "norm_momentum",
    "inputs",
    "horizontal_flip",
    "vertical_flip",
}
"""Fields of recipes and augmentations that the first version did not have; they are written only where they are not at
their default."""


def _without_unused(spec: Spec, values: dict[str, Any]) -> dict[str, Any]:
    # Experiments are told apart by what this gives. Those made before a field was there have to stay the same.
    fields = type(spec).model_fields
    return {name: value for name, value in values.items() if name not in _LATER or value != fields[name].default}


class Recipe(Spec):
    """How to train."""

    epochs: Annotated[int, Field(ge=1)] = 15
    """Passes over the training images."""
    batch_size: Annotated[int, Field(ge=2)] = 128
    """Images a step; batch normalisation needs at least two."""
    optimiser: Literal["sgd", "adam", "adamw", "muon"] = "sgd"
    """Rule that turns gradients into steps. muon: convolution and linear weights by Muon, all others by SGD."""
    learning_rate: Positive = 0.1
    """Learning rate; the peak, where the schedule changes it."""
    matrix_rate: Positive = 0.02
    """Learning rate of the weights that Muon trains, where ``learning_rate`` is that of the others; the schedule
    changes both alike."""
    bias_rate: Positive = 1.0
    """How many times the learning rate the biases of batch normalisation get."""
    momentum: Probability = 0.9
    """Momentum of SGD and Muon; the other optimisers keep their own averages."""
    nesterov: bool = True
    """Whether SGD and Muon look ahead along their momentum (Nesterov)."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Pull of the weights towards zero."""
    label_smoothing: Probability = 0.0
    """Share of the probability that the target gives to all classes evenly."""
    averaging: Probability = 0.0
    """Decay of the exponential moving average of the weights, a step; the average is what is evaluated and kept. 0:
    no average."""
    tail_averaging: Probability = 0.0
    """Share of the run, at its end, over whose steps the weights are averaged evenly (stochastic weight averaging); the
    average is what is evaluated and kept. 0: no average."""
    lookahead: Annotated[int, Field(ge=0)] = 0
    """Steps after which slow weights go half of the way to the trained ones, which start from there (Lookahead); the
    slow ones are evaluated and kept. 0: no slow weights."""
    initialisation: Literal["random", "he", "dirac"] = "random"
    """First weights of the convolutions. random: torch's. he: so large that values do not shrink from layer to layer,
    which nets without batch normalisation need. dirac: all but the first convolution pass their inputs on as they
    are."""
    first_layer: Literal["random", "whitening", "whitening-frozen"] = "random"
    """First weights of the first convolution. whitening: principal components of training patches, which are then
    trained, or frozen."""
    norm_momentum: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Weight of the newest batch in the running statistics of batch normalisation."""
    schedule: Schedule = Constant()
    """How the learning rate changes."""
    augmentation: Augmentation = Augmentation()
    """How the training images are varied."""
    inputs: Literal["standardised", "scaled", "raw"] = "standardised"
    """What pixels become before the net. standardised: mean 0 and deviation 1 a channel over the training images.
    scaled: from 0 to 1. raw: as they are, from 0 to 255."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the forward and backward pass; weights are float32 always."""

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Self:
        if self.optimiser in ("sgd", "muon") and self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0: set momentum = 0.9 or nesterov = false")
        return self

    @model_validator(mode="after")
    def _at_most_one_average(self) -> Self:
        kinds = {name: getattr(self, name) for name in ("averaging", "tail_averaging", "lookahead")}
        used = [f"{name} = {value:g}" for name, value in kinds.items() if value]
        if len(used) > 1:
            raise ValueError(f"one kind of average at a time: set all but one of {', '.join(used)} to 0")
        return self

    @model_serializer(mode="wrap")
    def _without_unused_later_fields(self, inner: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_unused(self, inner(self))


class Experiment(Spec):
    """Everything that decides a result: net, recipe, data set, seed and protocol."""

    net: str
    """The net in the one-line notation."""
    recipe: Recipe = Recipe()
    """How to train it."""
    data: str = "mnist"
    """Name of the data set."""
    protocol: Literal["reference", "holdout", "selection"] = "reference"
    """reference: train on every training image and log the test set, choosing nothing. holdout: train without the
    holdout images and log those; the test set is looked at once, at the end. selection: the same and never look at it,
    for runs that only decide what is trained next."""
    holdout_size: Annotated[int, Field(ge=1)] = 10_000
    """Images split from the training set under the holdout protocol."""
    seed: Seed = 0
    """Seed of everything random in the run."""

    @field_validator("net")
    @classmethod
    def _canonical(cls, text: str) -> str:
        try:
            return str(Net.parse(text))
        except NotationError as error:
            raise ValueError(str(error)) from None

    @property
    def identity(self) -> str:
        """A digest over every field: equal for equal experiments, 16 hexadecimal digits."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_toml(self) -> str:
        """Return the experiment as TOML that ``from_toml`` reads back to an equal value."""
        return tomli_w.dumps({"format": FORMAT, **self.model_dump(mode="json")})

    @classmethod
    def from_toml(cls, text: str, source: str = "experiment") -> Experiment:
        """Return the experiment that the TOML text describes; fields left out take their defaults.

        A ``format`` number, which run folders add, is checked and left out.

        Raises:
            SpecError: if the text is no TOML or of a later format, or with every field that is wrong.
        """
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise SpecError(f"{source} is not TOML", given=str(error), repair="correct that line") from None
        number = values.pop("format", FORMAT)
        if not isinstance(number, int) or number > FORMAT:
            raise SpecError(
                f"this experiment has format {number}; this version reads up to {FORMAT}",
                given=source,
                repair="use a newer stepladder",
            )
        return cls.read(values, source)


def _mistake(model: type[BaseModel], item: Any) -> str:
    place = [str(part) for part in item["loc"]]
    message = item["msg"].removeprefix("Value error, ")
    where = ".".join(place) or "the whole"
    if item["type"] == "extra_forbidden":
        known = _names_beside(model, place)
        nearest = difflib.get_close_matches(place[-1], known, n=1)
        hint = f"; did you mean '{nearest[0]}'?" if nearest else f"; known here: {', '.join(known)}"
        return f"'{where}' is not a field{hint}"
    if item["type"] in ("union_tag_invalid", "union_tag_not_found", "model_attributes_type") and "schedule" in place:
        given = item["input"].get("kind") if isinstance(item["input"], dict) else item["input"]
        kinds = [str(kind.model_fields["kind"].default) for kind in _SCHEDULES]
        nearest = difflib.get_close_matches(str(given), kinds, n=1)
        hint = f"write schedule.kind = '{nearest[0]}'" if nearest else f"schedule.kind is one of {', '.join(kinds)}"
        return f"{where}: {hint} (given: {given!r})"
    given = "" if isinstance(item["input"], dict) else f" (given: {item['input']!r})"
    return f"{where}: {message}{given}"


def _names_beside(model: type[BaseModel], place: list[str]) -> list[str]:
    """Return the field names valid where an unknown name stood."""
    for part in place[:-1]:
        field = model.model_fields.get(part)
        if field is None:
            # A step into a schedule: the place holds the kind of schedule, which is no field.
            model = next((kind for kind in _SCHEDULES if kind.model_fields["kind"].default == part), model)
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            model = field.annotation
    return sorted(model.model_fields)

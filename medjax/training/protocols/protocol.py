"""How features are judged: a protocol fixes every choice, and its outcome prints them.

Two numbers for the same features differ by several per cent with the number of neighbours,
the penalty, the normalisation or the samples that chose them. So a protocol is a dataclass
whose fields are its choices, `Protocol.fixed` says what is no field, and `Outcome` prints all
of it above the result.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from medjax.core.types import Array
from medjax.metrics.classification import accuracy, auc, balanced_accuracy

from .sets import Labelled, Sets

Classifier = Callable[[np.ndarray], np.ndarray]
"""``inputs -> scores``: ``(sample, ...)`` to floating ``(sample, class)``."""

LABELS = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "auc": "mean AUC"}
"""Of scores, as printed."""

CHOICE = (
    "chosen by balanced accuracy on validation, then by mean AUC, then the first; "
    "fitted on the training samples alone"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Protocol:
    """Base of the protocols; calling one with `Sets` gives an `Outcome`.

    Attributes of the class:
        title: as printed.
        fixed: choices that are no fields, in words.
        seeded: whether ``seed`` changes the result.
    """

    title: ClassVar[str]
    fixed: ClassVar[tuple[str, ...]] = ()
    seeded: ClassVar[bool] = False

    def choices(self) -> tuple[str, ...]:
        """Choices of this one that are no printed fields, in words."""
        return ()

    def candidates(self) -> Sequence[Mapping[str, Any]]:
        """Settings to choose from, in the order in which equal ones are preferred."""
        raise NotImplementedError

    def fit(
        self, train: Labelled, classes: int, setting: Mapping[str, Any], seed: int
    ) -> Classifier:
        """A classifier fitted to labelled samples with one of the candidates."""
        raise NotImplementedError

    def usable(self, train: Labelled) -> Sequence[Mapping[str, Any]]:
        """The candidates that so many training samples allow."""
        return self.candidates()

    def __call__(self, sets: Sets, seed: int = 0) -> Outcome:
        """Fit every candidate, choose on validation, report on test.

        Args:
            sets: inputs as the protocol takes them.
            seed: of whatever is random in fitting.
        """
        tried = []
        for setting in self.usable(sets.train):
            classifier = self.fit(sets.train, sets.classes, setting, seed)
            found = scores(classifier(sets.validation.inputs), sets.validation.labels)
            tried.append((setting, found, classifier))

        def worth(one: tuple[Any, dict[str, float], Any]) -> tuple[float, float]:
            # A score that does not exist is below all that do.
            return tuple(np.nan_to_num(one[1][m], nan=-1.0) for m in ("balanced_accuracy", "auc"))

        setting, validation, classifier = max(tried, key=worth)  # the first of equal ones
        return Outcome(
            protocol=self,
            seed=seed,
            classes=sets.classes,
            samples={name: len(part) for name, part in sets.parts().items()},
            chosen=dict(setting),
            validation=validation,
            test=scores(classifier(sets.test.inputs), sets.test.labels),
        )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """A result and all that one must know to get it again; ``print`` shows both.

    Attributes:
        protocol: with its choices.
        seed: of fitting.
        classes: how many there are.
        samples: how many to train, validate and test.
        chosen: the setting that validation chose.
        validation: accuracy, balanced accuracy and mean AUC of the chosen setting there.
        test: the same on the test samples.
    """

    protocol: Protocol
    seed: int
    classes: int
    samples: Mapping[str, int]
    chosen: Mapping[str, Any]
    validation: Mapping[str, float]
    test: Mapping[str, float]

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {name}" for name, count in self.samples.items())
        chosen = ", ".join(f"{k} {v:g}" for k, v in self.chosen.items()) or "nothing to choose"
        rows = {
            "samples": f"{counts}; {self.classes} classes",
            "seed": f"{self.seed}" if self.protocol.seeded else "none: nothing is random",
            "chosen": chosen,
            "validation": _line(self.validation),
            "test": _line(self.test),
        }
        width = max(map(len, rows))
        lines = [f"  {name:<{width}}  {text}" for name, text in rows.items()]
        return "\n".join([describe(self.protocol), *lines])

    def record(self) -> dict[str, Any]:
        """The same as JSON."""
        return {
            "protocol": describe(self.protocol).splitlines(),
            "seed": self.seed,
            "classes": self.classes,
            "samples": dict(self.samples),
            "chosen": dict(self.chosen),
            "validation": dict(self.validation),
            "test": dict(self.test),
        }


def describe(protocol: Protocol) -> str:
    """A protocol's title and all its choices, a line each."""
    fields = [f for f in dataclasses.fields(protocol) if f.repr]
    lines = [f"  {f.name.replace('_', ' ')}: {_value(getattr(protocol, f.name))}" for f in fields]
    return "\n".join(
        [protocol.title, *lines, *(f"  {t}" for t in (*protocol.choices(), *protocol.fixed))]
    )


def scores(predicted: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy, balanced accuracy and the mean AUC over the classes that have one.

    Args:
        predicted: floating, ``(sample, class)``.
        labels: integers, ``(sample,)``.
    """
    found = _scores(jnp.asarray(predicted, jnp.float32), jnp.asarray(labels, jnp.int32))
    return {name: float(found[name]) for name in LABELS}


@jax.jit
def _scores(predicted: Array, labels: Array) -> dict[str, Array]:
    areas = auc(predicted, labels)
    return {
        "accuracy": jnp.mean(accuracy(predicted, labels)),
        "balanced_accuracy": balanced_accuracy(predicted, labels),
        "auc": jnp.mean(areas, where=~jnp.isnan(areas)),
    }


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_value, value))
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _line(found: Mapping[str, float]) -> str:
    return ", ".join(f"{LABELS[name]} {value:.3f}" for name, value in found.items())

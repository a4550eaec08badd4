"""What protocols take: labelled samples in memory, divided once, and features in their place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from medjax.core.errors import InputError
from medjax.core.types import Batch


@dataclasses.dataclass(frozen=True, eq=False)
class Labelled:
    """Samples with their classes, on the host.

    Attributes:
        inputs: images or features, ``(sample, ...)``, floating.
        labels: integers from 0, ``(sample,)``.
        groups: the subject of each sample; by default each is a subject of its own.

    Raises:
        InputError: for lengths or dtypes that do not fit.
    """

    inputs: np.ndarray
    labels: np.ndarray
    groups: tuple[Any, ...] = ()

    def __post_init__(self):
        count = len(self.inputs)
        if self.labels.shape != (count,) or not np.issubdtype(self.labels.dtype, np.integer):
            got = f"{self.labels.dtype} {self.labels.shape}"
            raise InputError("labels", f"integers ({count},), one a sample", got)
        if count and self.labels.min() < 0:
            raise InputError("labels", "integers from 0", int(self.labels.min()))
        if self.groups and len(self.groups) != count:
            raise InputError("groups", f"{count}, one a sample", len(self.groups))

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, places: np.ndarray) -> Labelled:
        """The samples at some places."""
        groups = tuple(self.groups[i] for i in places) if self.groups else ()
        return Labelled(self.inputs[places], self.labels[places], groups)


@dataclasses.dataclass(frozen=True, eq=False)
class Sets:
    """Labelled samples to fit, to choose and to report with.

    Attributes:
        train: to fit.
        validation: to choose with.
        test: to report on.
        classes: how many there are.

    Raises:
        InputError: for an empty side, a label that is no class, or a subject on two sides.
            It tells how many subjects are concerned, not which.
    """

    train: Labelled
    validation: Labelled
    test: Labelled
    classes: int

    def __post_init__(self):
        for name, part in self.parts().items():
            if len(part) == 0:
                raise InputError(name, "at least one sample", "none")
            if part.labels.max() >= self.classes:
                expected = f"labels below {self.classes}, the number of classes"
                raise InputError(name, expected, int(part.labels.max()))
        for a, b in combinations(self.parts().values(), 2):
            if shared := len(set(a.groups) & set(b.groups)):
                raise InputError("sets", "every subject on one side", f"{shared} on two sides")

    def parts(self) -> dict[str, Labelled]:
        """The three by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def map(self, function: Callable[[np.ndarray], np.ndarray]) -> Sets:
        """The same samples with ``function(inputs)`` in the place of their inputs."""
        parts = {
            name: dataclasses.replace(part, inputs=function(part.inputs))
            for name, part in self.parts().items()
        }
        return Sets(**parts, classes=self.classes)


def extract(
    features: Callable[[Batch], Any],
    batches: Iterable[Batch],
    *,
    label: str = "label",
    groups: Sequence[Any] = (),
) -> Labelled:
    """Frozen features of all samples that a loader gives, such as `medjax.data.evaluation`.

    Args:
        features: ``batch -> (batch, ...)``, jitted.
        batches: dicts of arrays with the entries ``label``, ``valid`` (False for samples
            that only fill a batch) and ``index``.
        label: the batch's entry with the class, integers ``(batch,)``.
        groups: the subject of each sample of the source, by index.

    Raises:
        InputError: for no valid sample.
    """
    inputs, labels, places = [], [], []
    for batch in batches:
        valid = np.asarray(batch["valid"])
        inputs.append(np.asarray(features(batch))[valid])
        labels.append(np.asarray(batch[label])[valid])
        places.append(np.asarray(batch["index"])[valid])
    if not sum(map(len, places)):
        raise InputError("batches", "at least one valid sample", "none")
    subjects = tuple(groups[i] for i in np.concatenate(places)) if groups else ()
    return Labelled(np.concatenate(inputs), np.concatenate(labels), subjects)

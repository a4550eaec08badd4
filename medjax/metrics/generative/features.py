"""What numbers of generated images are of: features with the name of what extracted them.

A Fréchet distance of 12 says nothing until one knows whose features it is of. So features carry
the name of their extractor, metrics refuse to compare features of two, and a `Score` cannot be
printed or recorded without it.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from medjax.core.batches import in_batches
from medjax.core.errors import InputError
from medjax.core.trees import named_leaves
from medjax.core.types import Array

PIXELS = "pixels"
"""The extractor's name where images themselves are compared."""


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureSet:
    """Features of a set of images, on the host.

    Attributes:
        values: floating ``(sample, channel)``, finite; kept in float64.
        extractor: name of what they are features by.

    Raises:
        InputError: for other arrays, values that are not finite, or no name.
    """

    values: np.ndarray
    extractor: str

    def __post_init__(self):
        values = np.asarray(self.values)
        if not np.issubdtype(values.dtype, np.floating) or values.ndim != 2 or 0 in values.shape:
            got = f"{values.dtype} {values.shape}"
            raise InputError("features", "floating-point values (sample, channel)", got)
        if bad := int(np.sum(~np.isfinite(values).all(axis=1))):
            raise InputError("features", "finite values", f"{bad} samples with NaN or infinity")
        if not self.extractor.strip():
            raise InputError("extractor", "a name", repr(self.extractor))
        object.__setattr__(self, "values", values.astype(np.float64))

    def __len__(self) -> int:
        return len(self.values)

    def take(self, places: np.ndarray) -> FeatureSet:
        """The samples at some places."""
        return FeatureSet(self.values[places], self.extractor)


@dataclasses.dataclass(frozen=True)
class FeatureExtractor:
    """A function from images to features, with a name that goes wherever its numbers go.

    Attributes:
        name: what a reader must know to get the same features: network, weights, size of input.
        function: jitted, images ``(batch, *spatial, channel)`` to ``(batch, channel)``.
        batch_size: images on the device at a time.

    Raises:
        InputError: for no name, or a batch size below 1.
    """

    name: str
    function: Callable[[Any], Array]
    batch_size: int = 64

    def __post_init__(self):
        if not self.name.strip():
            raise InputError("name", "the extractor's name", repr(self.name))
        if self.batch_size < 1:
            raise InputError("batch_size", "at least 1", self.batch_size)

    def __call__(self, images: np.ndarray) -> FeatureSet:
        """Features of any number of images.

        Raises:
            InputError: for no images, or features that no `FeatureSet` can hold.
        """
        if not len(images):
            raise InputError("images", "at least one", 0)
        return FeatureSet(in_batches(self.function, self.batch_size)(images), self.name)


def from_backbone(
    module: Any,
    variables: Any,
    *,
    name: str,
    logits: bool = False,
    prepare: Callable[[Array], Array] = lambda images: images,
    batch_size: int = 64,
) -> FeatureExtractor:
    """An extractor of a backbone of `medjax.models` and its weights.

        imported = weights.import_file("densenet121.safetensors", "densenet121", drop_head=True)
        extractor = from_backbone(imported.module, imported.variables, name="densenet121, 224")

    Args:
        module: any `medjax.models.backbone.Backbone`.
        variables: its own: imported, exported from a run, or of its `init` (random features are
            features too, and their name should say so).
        name: see `FeatureExtractor`; the start of the weights' SHA-256 is added to it.
        logits: the classifier's logits (for `inception_score`) in the place of pooled features.
        prepare: of images, on the device: what the network was trained to see.
        batch_size: see `FeatureExtractor`.
    """

    @jax.jit
    def function(images: Array) -> Array:
        images = prepare(images)
        if logits:
            return module.apply(variables, images, train=False)
        return module.apply(variables, images, train=False, method="features").pooled

    return FeatureExtractor(f"{name} [{_digest(variables)}]", function, batch_size)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Score:
    """A number of a set of generated images; however it is formatted, its extractor is there.

    Attributes:
        metric: as printed.
        value: the number.
        extractor: of the features.
        samples: what there was to go by, by kind.
        error: standard error of the value, by what ``detail`` says; NaN where there is none.
        detail: settings that change the number, in words.
    """

    metric: str
    value: float
    extractor: str
    samples: Mapping[str, int]
    error: float = float("nan")
    detail: str = ""

    def __format__(self, spec: str) -> str:
        spec = spec or ".4g"
        error = "" if np.isnan(self.error) else f" ± {self.error:{spec}}"
        samples = ", ".join(f"{count} {kind}" for kind, count in self.samples.items())
        said = "; ".join(filter(None, (f"features: {self.extractor}", samples, self.detail)))
        return f"{self.metric} {self.value:{spec}}{error} ({said})"

    def __str__(self) -> str:
        return format(self)

    def record(self) -> dict[str, Any]:
        """The same as JSON."""
        return {**dataclasses.asdict(self), "samples": dict(self.samples)}


def same_extractor(*sets: Any) -> str:
    """The name that some sets' features share.

    Raises:
        InputError: for features of different extractors or of different widths.
    """
    names = list(dict.fromkeys(s.extractor for s in sets))
    if len(names) > 1:
        raise InputError("features", "features of one extractor", " and ".join(names))
    widths = {s.values.shape[1] for s in sets}
    if len(widths) > 1:
        raise InputError("features", "features of one width", sorted(widths))
    return names[0]


def _digest(variables: Any) -> str:
    hashed = hashlib.sha256()
    for name, leaf in named_leaves(variables):
        hashed.update(f"{name} {leaf.dtype} {leaf.shape}".encode())
        hashed.update(np.ascontiguousarray(leaf).tobytes())
    return hashed.hexdigest()[:8]

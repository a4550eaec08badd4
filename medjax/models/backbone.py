"""What every backbone gives: one pooled vector, and feature maps of several sizes."""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.types import Array, Float


class Features(NamedTuple):
    """What a backbone knows of an image.

    Attributes:
        pooled: float32 ``(batch, channel)``, what a linear head reads.
        maps: feature maps ``(batch, *spatial, channel)``, finest first, each no finer than
            the one before it and all in the backbone's dtype. Convolutional and windowed
            networks give one a stage; plain transformers one, of the last layer's patches.
    """

    pooled: Float[Array, "batch channel"]
    maps: tuple[Array, ...]


class Backbone(nn.Module):
    """Base of the networks that turn images into features, and features into logits.

    A subclass defines `features`, usually as its ``@nn.compact`` method; the head is made
    in `setup`, which such a method may stand beside. One whose head is more than a dense
    layer overrides `setup` and `classify`.

    Attributes:
        classes: logits that ``__call__`` returns; with 0 there is no head, and it returns
            the pooled features.
    """

    classes: int = 0

    def setup(self):
        """Make the head."""
        if self.classes:
            # Not zeros, as some originals have it: then nothing else learns in the first step.
            self.head = nn.Dense(self.classes, kernel_init=nn.initializers.truncated_normal(0.02))

    def features(self, x: Array, train: bool = False) -> Features:
        """Features of a floating ``(batch, *spatial, channel)`` image."""
        raise NotImplementedError

    def classify(
        self, pooled: Float[Array, "batch channel"], train: bool = False
    ) -> Float[Array, "batch classes"]:
        """Logits of pooled features."""
        return self.head(pooled)

    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch out"]:
        """Map images to logits, or to pooled features where there are no classes.

        Args:
            x: floating ``(batch, *spatial, channel)``.
            train: whether dropout and stochastic depth act and batch norm learns.

        Returns:
            float32 ``(batch, classes)`` or ``(batch, channel)``.
        """
        pooled = self.features(x, train).pooled.astype(jnp.float32)
        return self.classify(pooled, train) if self.classes else pooled

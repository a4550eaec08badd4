"""One backbone for several parts of an image, and heads that read them side by side."""

from __future__ import annotations

from collections.abc import Mapping

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.types import Array, Float
from medjax.models.backbone import Backbone


class Siamese(nn.Module):
    """The pooled features of each part, put in a row, to one output a head.

    Attributes:
        backbone: sees all parts with the same parameters.
        hidden: channels of a layer between, which the heads share; 0 for none.
        use_bias: whether heads add a constant; not where only differences of outputs count.
    """

    backbone: Backbone
    hidden: int = 0
    use_bias: bool = True

    @nn.compact
    def __call__(
        self,
        parts: Float[Array, "batch part *spatial channel"],
        outputs: Mapping[str, int],
        train: bool = False,
    ) -> dict[str, Float[Array, "batch _"]]:
        """Apply to the parts of each sample, which have one size.

        Args:
            parts: 2D or 3D.
            outputs: how many numbers each head gives, by its name.
            train: whether dropout and stochastic depth act and batch norm learns.

        Returns:
            Each head's output, float32.
        """
        batch, count = parts.shape[:2]
        pooled = self.backbone.features(parts.reshape(-1, *parts.shape[2:]), train).pooled
        y = pooled.astype(jnp.float32).reshape(batch, count * pooled.shape[-1])
        if self.hidden:
            y = nn.relu(nn.Dense(self.hidden, name="hidden")(y))
        return {name: nn.Dense(n, self.use_bias, name=name)(y) for name, n in outputs.items()}

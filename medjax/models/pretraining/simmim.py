"""The network of simple masked image modelling."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.arrays import per_sample, with_rank
from medjax.core.types import Array, Bool, Float
from medjax.layers.attention import INIT
from medjax.layers.conv import per_axis
from medjax.layers.patch import PatchEmbed
from medjax.models.backbone import Backbone

from .decoders import PixelHead


class SimMIM(nn.Module):
    """SimMIM of Xie et al. 2022 (arXiv:2111.09886): a backbone with hidden patches, one linear map.

    As there: a learned vector takes the place of hidden patches after they are embedded, and
    all tokens go through the backbone; each place of its last map predicts its own pixels.
    What differs: in Swin the vector is put in before the norm of the embedding, not after it.

    Attributes:
        backbone: one that embeds patches: `ViT` or `Swin`.
    """

    backbone: Backbone

    @nn.compact
    def __call__(
        self, x: Array, mask: Bool[Array, "batch *spatial"], train: bool = False
    ) -> Float[Array, "batch *spatial channel"]:
        """Predict all pixels.

        Args:
            x: floating ``(batch, *spatial, channel)``, 2D or 3D.
            mask: true at hidden pixels, in whole patches of the backbone.
            train: whether stochastic depth acts.
        """
        token = self.param("mask_token", INIT, (self.backbone.width,), jnp.float32)
        patch = per_axis(self.backbone.patch, x.ndim - 2, "patch")
        hidden = mask[:, *(slice(None, None, size) for size in patch)]

        def hide(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
            y = call(*args, **kwargs)
            if isinstance(context.module, PatchEmbed) and context.method_name == "__call__":
                y = jnp.where(
                    per_sample(hidden, y.ndim), with_rank(token.astype(y.dtype), y.ndim), y
                )
            return y

        with nn.intercept_methods(hide):
            maps = self.backbone.features(x, train).maps
        return PixelHead(x.shape[-1], name="head")(maps[-1], x.shape[1:-1])

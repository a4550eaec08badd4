"""The masked autoencoder."""

from __future__ import annotations

import math

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.arrays import with_rank
from medjax.core.types import Array, Float, Int
from medjax.layers.attention import Implementation
from medjax.layers.conv import per_axis
from medjax.layers.dense import Dense
from medjax.layers.layer_norm import LayerNorm
from medjax.layers.patch import patch_grid
from medjax.layers.position import grid_coordinates, sinusoidal
from medjax.layers.transformer import Block, Remat, Transformer
from medjax.models.vit import Encoded, Tokens, ViT

_XAVIER = nn.initializers.xavier_uniform()


class MAEDecoder(nn.Module):
    """The light transformer that paints hidden patches (He et al. 2022, section 3).

    As there: a linear map to its own width, one learned vector in the place of every hidden
    patch, sinusoidal positions, blocks, a norm, a linear map to values. What differs: blocks
    start from truncated normals, as `ViT`'s do; registers of the encoder stay behind.

    Attributes:
        width: channels of the tokens.
        depth: number of blocks.
        heads: of attention.
        implementation: see `medjax.layers.attention.Implementation`.
        remat: see `medjax.layers.transformer.Remat`.
        unroll: see `medjax.layers.transformer.Transformer`.
        epsilon: of the norms.
        dtype: of the computation. Parameters and the output are float32.
    """

    width: int = 512
    depth: int = 8
    heads: int = 16
    implementation: Implementation = None
    remat: Remat = "none"
    unroll: int = 1
    epsilon: float = 1e-6
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self,
        encoded: Encoded,
        restore: Int[Array, "batch token"],
        grid: tuple[int, ...],
        values: int,
        train: bool = False,
    ) -> Float[Array, "batch token values"]:
        """Predict all patches.

        Args:
            encoded: the visible patches, and a class token where there is one.
            restore: for each patch of the grid its place among the visible ones and, from
                their number on, the hidden ones.
            grid: of patches.
            values: of a patch.
            train: passed on to the blocks.
        """
        embed = Dense(self.width, dtype=self.dtype, kernel_init=_XAVIER, name="embed")
        y = embed(encoded.patches)
        init = nn.initializers.normal(0.02)
        token = self.param("mask_token", init, (self.width,), jnp.float32)
        hidden = (y.shape[0], restore.shape[1] - y.shape[1], self.width)
        y = jnp.concatenate([y, jnp.broadcast_to(with_rank(token.astype(y.dtype), 3), hidden)], 1)
        y = jnp.take_along_axis(y, restore[..., None], axis=1)
        y = y + sinusoidal(grid_coordinates(grid), self.width).astype(y.dtype)[None]
        if encoded.class_token is not None:
            y = jnp.concatenate([embed(encoded.class_token[:, None]), y], axis=1)
        block = Block(
            self.heads,
            4 * self.width,
            implementation=self.implementation,
            epsilon=self.epsilon,
            dtype=self.dtype,
            parent=None,
        )
        blocks = Transformer(block, self.depth, 0.0, self.remat, self.unroll, name="decoder")
        y = blocks(y, None, train)
        y = LayerNorm(self.epsilon, self.dtype, name="norm")(y[:, -restore.shape[1] :])
        y = Dense(values, dtype=self.dtype, kernel_init=_XAVIER, name="head")(y)
        return y.astype(jnp.float32)


class MaskedAutoencoder(nn.Module):
    """MAE of He et al. 2022 (arXiv:2111.06377): the encoder sees the visible patches alone.

    Attributes:
        backbone: the encoder.
        decoder: see `MAEDecoder`.
    """

    backbone: ViT
    decoder: MAEDecoder

    def encode(
        self, x: Array, order: Int[Array, "batch token"], visible: int, train: bool = False
    ) -> Encoded:
        """The visible patches, encoded.

        Args:
            x: floating ``(batch, *spatial, channel)``, 2D or 3D.
            order: of each sample's patches, the visible ones first.
            visible: how many those are, the same for all samples.
            train: whether stochastic depth acts.
        """
        tokens = self.backbone.embed(x)
        seen = order[:, :visible]
        values = jnp.take_along_axis(tokens.values, seen[..., None], axis=1)
        return self.backbone.encode(Tokens(values, tokens.coordinates[seen]), train)

    def __call__(
        self, x: Array, order: Int[Array, "batch token"], visible: int, train: bool = False
    ) -> Float[Array, "batch token values"]:
        """Predict the values of all patches, hidden ones and visible; see `encode`."""
        encoded = self.encode(x, order, visible, train)
        grid = patch_grid(x.shape[1:-1], self.backbone.patch)
        values = math.prod(per_axis(self.backbone.patch, len(grid), "patch")) * x.shape[-1]
        return self.decoder(encoded, jnp.argsort(order, axis=-1), grid, values, train)

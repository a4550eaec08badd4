"""The vision transformer."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.arrays import per_sample, with_rank
from medjax.core.errors import InputError
from medjax.core.types import Array, Bool, Float
from medjax.layers.attention import INIT, AttentionKind, Implementation
from medjax.layers.conv import Size, per_axis
from medjax.layers.layer_norm import LayerNorm
from medjax.layers.patch import PatchEmbed, patch_grid
from medjax.layers.position import grid_coordinates, resize_positions, sinusoidal
from medjax.layers.transformer import Block, Remat, Transformer

from .backbone import Backbone, Features

Positions = Literal["learned", "sinusoidal", "rotary"]
"""learned: a vector a patch, interpolated to other grids (Dosovitskiy et al. 2021);
sinusoidal: fixed (`medjax.layers.position.sinusoidal`), as in MAE;
rotary: queries and keys are turned (`medjax.layers.position.rotary`)."""

SIZES: dict[str, dict[str, Any]] = {
    "ti": {"width": 192, "depth": 12, "heads": 3},
    "s": {"width": 384, "depth": 12, "heads": 6},
    "b": {"width": 768, "depth": 12, "heads": 12},
    "l": {"width": 1024, "depth": 24, "heads": 16},
    "h": {"width": 1280, "depth": 32, "heads": 16},
    "g": {"width": 1536, "depth": 40, "heads": 24, "hidden": 4096, "swiglu": True},
}
"""Ti and S: Touvron et al. 2021 (arXiv:2012.12877); B, L and H: Dosovitskiy et al. 2021;
g: as DINOv2 has it (Oquab et al. 2023, arXiv:2304.07193), 1.1 billion parameters."""


class Tokens(NamedTuple):
    """Patches before the transformer; a subset is taken of both alike.

    Attributes:
        values: ``(batch, token, channel)``, with what positions add.
        coordinates: ``(token, axis)`` or ``(batch, token, axis)`` in patches.
    """

    values: Float[Array, "batch token channel"]
    coordinates: Float[Array, "*batch token axis"]


class Encoded(NamedTuple):
    """Tokens after the transformer and its last norm, in the transformer's dtype.

    Attributes:
        class_token: ``(batch, channel)``, or None where there is none.
        registers: ``(batch, register, channel)``.
        patches: ``(batch, token, channel)``.
    """

    class_token: Float[Array, "batch channel"] | None
    registers: Float[Array, "batch register channel"]
    patches: Float[Array, "batch token channel"]


class ViT(Backbone):
    """Vision transformer of Dosovitskiy et al. 2021 (arXiv:2010.11929), Ti, S, B, L, H and g.

    As in the paper: patches, a class token, learned positions, pre-norm blocks, GELU. What
    differs: 2D and 3D by the input; images of any size (zeros fill the last patch, and
    positions follow); the class token has no position of its own, which would only be
    added to it; and what later work found, by the attributes below.

    `features` gives the pooled vector and one map, of the last layer's patches. Methods
    that hide patches call `embed`, choose among the tokens, and call `encode`.

    Attributes:
        width: channels of the tokens.
        depth: number of blocks.
        heads: of attention.
        hidden: channels within the MLP; four times the width where it is 0.
        patch: size of a patch along each axis.
        image_size: for whose grid of patches positions are learned or, where they are
            sinusoidal, counted; others are interpolated to it.
        positions: see `Positions`.
        pool: "class" for the class token, "mean" for the mean of the patches and no such token.
        registers: tokens that only help to compute (Darcet et al. 2024, arXiv:2309.16588).
        mask_token: whether `embed` can put a learned token in the place of patches.
        qkv_bias: see `medjax.layers.attention.MultiHeadAttention`.
        qk_norm: likewise.
        swiglu: gated MLPs (`medjax.layers.mlp.MLP`).
        layer_scale: see `medjax.layers.transformer.Block`.
        drop_path: see `medjax.layers.transformer.Transformer`.
        attention: "softmax" or "linear".
        implementation: see `medjax.layers.attention.Implementation`.
        remat: see `medjax.layers.transformer.Remat`.
        unroll: see `medjax.layers.transformer.Transformer`.
        epsilon: of the norms.
        dtype: of the computation. Parameters, the pooled vector and logits are float32.
    """

    width: int = 768
    depth: int = 12
    heads: int = 12
    hidden: int = 0
    patch: Size = 16
    image_size: Size = 224
    positions: Positions = "learned"
    pool: Literal["class", "mean"] = "class"
    registers: int = 0
    mask_token: bool = False
    qkv_bias: bool = True
    qk_norm: bool = False
    swiglu: bool = False
    layer_scale: float | None = None
    drop_path: float = 0.0
    attention: AttentionKind = "softmax"
    implementation: Implementation = None
    remat: Remat = "none"
    unroll: int = 1
    epsilon: float = 1e-6
    dtype: jnp.dtype | type = jnp.float32

    @classmethod
    def named(cls, size: str, **changes: Any) -> ViT:
        """A size of the literature.

        Args:
            size: "ti", "s", "b", "l", "h" or "g", see `SIZES`.
            **changes: of any attribute, such as ``patch=14``.

        Raises:
            InputError: for another size.
        """
        if size not in SIZES:
            raise InputError("size", f"one of {', '.join(SIZES)}", repr(size))
        return cls(**{**SIZES[size], **changes})

    def setup(self):
        """Make the parts; Backbone's is the head."""
        super().setup()
        if self.positions not in get_args(Positions):
            expected = f"one of {', '.join(get_args(Positions))}"
            raise InputError("positions", expected, repr(self.positions))
        self.patch_embed = PatchEmbed(self.width, self.patch, dtype=self.dtype)
        if self.positions == "learned":
            self.position = LearnedPositions(self.width)
        if self.pool == "class":
            self.class_token = self.param("class_token", INIT, (self.width,), jnp.float32)
        if self.registers:
            shape = (self.registers, self.width)
            self.register_tokens = self.param("registers", INIT, shape, jnp.float32)
        if self.mask_token:
            self.masked = self.param("mask_token", INIT, (self.width,), jnp.float32)
        block = Block(
            self.heads,
            self.hidden or 4 * self.width,
            self.qkv_bias,
            self.qk_norm,
            self.swiglu,
            self.layer_scale,
            self.attention,
            self.implementation,
            self.epsilon,
            self.dtype,
            parent=None,
        )
        self.encoder = Transformer(block, self.depth, self.drop_path, self.remat, self.unroll)
        self.norm = LayerNorm(self.epsilon, self.dtype)

    def embed(self, x: Array, mask: Bool[Array, "batch token"] | None = None) -> Tokens:
        """Patches of images as tokens.

        Args:
            x: floating ``(batch, *spatial, channel)``, 2D or 3D, of any size; its grid of
                patches is `medjax.layers.patch.patch_grid` of its spatial shape.
            mask: true where the learned mask token takes a patch's place; it keeps the
                patch's position. Tokens are in the order of a reshape of the grid.

        Raises:
            InputError: for another rank or dtype, and for a mask where ``mask_token`` is false.
        """
        y = self.patch_embed(x)
        grid = y.shape[1:-1]
        y = y.reshape(y.shape[0], -1, self.width)
        if mask is not None:
            if not self.mask_token:
                raise InputError("mask", "a ViT with mask_token=True", "mask_token=False")
            masked = with_rank(self.masked.astype(y.dtype), y.ndim)
            y = jnp.where(per_sample(mask, y.ndim), masked, y)
        native = patch_grid(per_axis(self.image_size, len(grid), "image_size"), self.patch)
        coordinates = grid_coordinates(grid)
        if self.positions == "learned":
            y = y + self.position(native, grid).astype(y.dtype)[None]
        elif self.positions == "sinusoidal":
            # As if the encoding of the native grid were interpolated at the patches' centres.
            scale = jnp.asarray([n / m for n, m in zip(native, grid, strict=True)], jnp.float32)
            at = (coordinates + 0.5) * scale[None] - 0.5
            y = y + sinusoidal(at, self.width).astype(y.dtype)[None]
        return Tokens(y, coordinates)

    def encode(self, tokens: Tokens, train: bool = False) -> Encoded:
        """Run the transformer over all or some of the tokens that `embed` gave."""
        y = tokens.values
        first = []
        if self.pool == "class":
            first.append(with_rank(self.class_token, 2))
        if self.registers:
            first.append(self.register_tokens)
        if first:
            prefix = jnp.concatenate(first).astype(y.dtype)[None]
            y = jnp.concatenate([jnp.repeat(prefix, y.shape[0], axis=0), y], axis=1)
        coordinates = tokens.coordinates if self.positions == "rotary" else None
        y = self.norm(self.encoder(y, coordinates, train))
        start = int(self.pool == "class")
        registers, patches = jnp.split(y[:, start:], (self.registers,), axis=1)
        return Encoded(y[:, 0] if start else None, registers, patches)

    def features(self, x: Array, train: bool = False) -> Features:
        """The pooled vector, and the last layer's patches as the one map.

        Args:
            x: floating ``(batch, *spatial, channel)``, 2D or 3D, of any size.
            train: whether stochastic depth acts.

        Raises:
            InputError: for another rank or dtype.
        """
        class_token, _, patches = self.encode(self.embed(x), train)
        if class_token is None:
            pooled = patches.mean(axis=1, dtype=jnp.float32)
        else:
            pooled = class_token.astype(jnp.float32)
        grid = patch_grid(x.shape[1:-1], self.patch)
        return Features(pooled, (patches.reshape(x.shape[0], *grid, self.width),))


class LearnedPositions(nn.Module):
    """One learned vector a cell of a grid.

    Attributes:
        features: channels.
    """

    features: int

    @nn.compact
    def __call__(
        self, native: tuple[int, ...], grid: tuple[int, ...]
    ) -> Float[Array, "token features"]:
        """Those of ``native``, interpolated to ``grid``."""
        table = self.param("table", INIT, (*native, self.features), jnp.float32)
        return resize_positions(table, grid).reshape(-1, self.features)

"""A Swin transformer that denoises for diffusion."""

from __future__ import annotations

import math

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.types import Array, Float, Int
from medjax.layers.attention import INIT, Implementation
from medjax.layers.conv import Conv, Size, per_axis, require_image
from medjax.layers.dense import Dense
from medjax.layers.embedded import LevelEmbedding, modulated
from medjax.layers.initialise import FAINT
from medjax.layers.mlp import MLP
from medjax.layers.patch import PatchEmbed, from_patches
from medjax.layers.transformer import Remat, rematerialised
from medjax.layers.window import WindowAttention

from .diffusion_unet import joined


class SwinDenoiser(nn.Module):
    """Swin blocks on one scale, whose norms are told of the noise level.

    Attention in windows that shift from block to block (Liu et al. 2021, arXiv:2103.14030),
    with the adaptive norms and gates of the diffusion transformer in every block (Peebles & Xie
    2023, arXiv:2212.09748, "adaLN"), so that the cost is linear in the number of voxels. As in
    SwinIR (Liang et al. 2021, arXiv:2108.10257) a convolution closes the stack and its input is
    added. It is no network of one paper. Gates start at a tenth, not at zero, so that all
    parameters learn from the first step; places are known by the windows' relative biases alone.

    Attributes:
        out_channels: channels of the output; those of the image.
        width: channels of the tokens.
        depth: number of blocks.
        heads: of the attention.
        patch: size of a token's patch along each axis.
        window: size of a window in tokens along each axis.
        classes: number of classes that can be conditioned on; 0 for none.
        mlp_ratio: channels within the MLPs over channels.
        implementation: see `medjax.layers.attention.Implementation`.
        remat: see `medjax.layers.transformer.Remat`; by block.
        dtype: of the computation. Parameters, the last layer and the output are float32.
    """

    out_channels: int
    width: int = 192
    depth: int = 12
    heads: int = 6
    patch: Size = 2
    window: Size = 8
    classes: int = 0
    mlp_ratio: int = 4
    implementation: Implementation = None
    remat: Remat = "none"
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Array,
        time: Float[Array, " batch"],
        condition: Array | None = None,
        label: Int[Array, " batch"] | None = None,
        train: bool = False,
    ) -> Float[Array, "batch *spatial out"]:
        """Map noisy images to what is predicted of them; see `DiffusionUNet`.

        Args:
            x: floating, ``(batch, *spatial, channel)``, 2D or 3D, of any size.
            time: of each sample's noise level.
            condition: an image of the same size to go by; zeros for none.
            label: classes to go by; a negative one for none.
            train: there is nothing that it changes.

        Returns:
            float32 ``(batch, *spatial, out_channels)``.

        Raises:
            InputError: as `DiffusionUNet`, and where the heads do not divide the channels.
        """
        require_image(x, type(self).__name__)
        spatial = x.shape[1:-1]
        patch = per_axis(self.patch, x.ndim - 2, "patch")
        window = per_axis(self.window, x.ndim - 2, "window")
        y = PatchEmbed(self.width, patch, dtype=self.dtype, name="patch_embed")(
            joined(x, condition)
        )
        embedding = nn.silu(LevelEmbedding(self.width, self.classes, name="embedding")(time, label))
        tokens = y
        block = rematerialised(AdaptiveSwinBlock, self.remat)
        for i in range(self.depth):
            made = block(
                self.heads,
                window,
                bool(i % 2),
                self.mlp_ratio,
                self.implementation,
                self.dtype,
                name=f"block{i}",
            )
            y = made(y, embedding)
        y = tokens + Conv(self.width, dtype=self.dtype, name="body")(y)
        told = Dense(2 * self.width, kernel_init=INIT, name="modulation")(embedding)
        y = modulated(y, *jnp.split(told, 2, axis=-1))
        y = Dense(math.prod(patch) * self.out_channels, kernel_init=FAINT, name="head")(y)
        return from_patches(y, patch, spatial)


class AdaptiveSwinBlock(nn.Module):
    """Attention in windows, then an MLP, each after a norm and through a gate that are told.

    Attributes:
        heads: see `WindowAttention`, as for ``window``, ``shifted`` and ``implementation``.
        mlp_ratio: see `SwinDenoiser`.
        dtype: of the computation and the output.
    """

    heads: int
    window: tuple[int, ...]
    shifted: bool
    mlp_ratio: int
    implementation: Implementation
    dtype: jnp.dtype | type

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channel"], embedding: Float[Array, "batch embedding"]
    ) -> Float[Array, "batch *spatial channel"]:
        """Apply to an image of tokens."""
        channels = x.shape[-1]
        told = Dense(6 * channels, kernel_init=INIT, name="modulation")(embedding)
        shifts, scales, gates = jnp.split(told.reshape(told.shape[0], 6, channels), 3, axis=1)
        gates = (0.1 + gates).reshape(x.shape[0], 2, *(1,) * (x.ndim - 2), channels)
        attention = WindowAttention(
            self.heads,
            self.window,
            self.shifted,
            implementation=self.implementation,
            dtype=self.dtype,
            name="attention",
        )
        mlp = MLP(self.mlp_ratio * channels, dtype=self.dtype, name="mlp")
        for i, part in enumerate((attention, mlp)):
            y = part(modulated(x, shifts[:, i], scales[:, i]).astype(self.dtype))
            x = x + gates[:, i].astype(self.dtype) * y
        return x

"""Spach Transformer: attention of channels on all scales, of windows on the coarser ones."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.image.resize import enlarged
from medjax.layers.conv import Conv, require_image
from medjax.layers.feed_forward import GatedFeedForward
from medjax.layers.initialise import BRANCH
from medjax.layers.layer_norm import LayerNorm
from medjax.layers.pad import cropped, padded
from medjax.layers.pool import average_pool
from medjax.layers.transposed_attention import TransposedAttention
from medjax.models.swin import Swin


class SpachTransformer(nn.Module):
    """Spach Transformer of Jang et al. 2024 (doi:10.1109/TMI.2023.3336237, arXiv:2209.03300).

    "Spatial and channel-wise transformer based on local and global self-attentions for PET
    image denoising". As in the authors' code: a U-shaped network of blocks with attention of
    channels and two gated feed-forwards, one of depthwise and one of full convolutions; beside
    it a Swin transformer looks at the image in windows, and its stages join the coarsest levels
    by concatenation; levels change by a convolution and linear interpolation; the image is
    added at the end. What differs: 2D and 3D, and images of any size, padded by reflection and
    cropped back.

    Attributes:
        width: channels of the finest level; each level doubles them.
        blocks: blocks of each level, finest first.
        heads: of each level.
        expansion: hidden channels of the feed-forwards over channels.
        swin_depths: blocks of each stage of the Swin transformer; as many as the coarsest
            levels that it joins, fewer than all.
        swin_heads: of each stage.
        window: of the Swin transformer, in its patches.
        refinement: blocks after the finest level.
        drop_path: of the Swin transformer.
        dtype: of the computation. Parameters, the last layer and the output are float32.
    """

    width: int = 16
    blocks: tuple[int, ...] = (1, 1, 1, 1)
    heads: tuple[int, ...] = (1, 2, 4, 8)
    expansion: int = 1
    swin_depths: tuple[int, ...] = (4, 8)
    swin_heads: tuple[int, ...] = (4, 8)
    window: int = 6
    refinement: int = 3
    drop_path: float = 0.3
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *spatial channel"]:
        """Denoise a floating ``(batch, *spatial, channel)`` image, 2D or 3D; needs rng "dropout".

        Args:
            x: of any size.
            train: whether ``drop_path`` acts, which alone needs the rng.

        Returns:
            float32 of the shape of ``x``.

        Raises:
            InputError: for another rank or dtype, or fields that do not fit each other.
        """
        require_image(x, type(self).__name__)
        levels, joined = len(self.blocks), len(self.swin_depths)
        if len(self.heads) != levels or len(self.swin_heads) != joined or not 0 < joined < levels:
            expected = "heads for each level and stage, and fewer stages than levels"
            raise InputError("SpachTransformer", expected, (self.heads, self.swin_heads))
        sizes = x.shape[1:-1]
        image, before = padded(x, [2 ** (levels - 1)] * len(sizes))
        windows = self._windows(image, train, 2 ** (levels - joined))

        def conv(y: Array, features: int, name: str, window: int = 3) -> Array:
            options = {"use_bias": False, "dtype": self.dtype, "kernel_init": BRANCH}
            return Conv(features, window, **options, name=name)(y)

        y, skips = conv(image, self.width, "embed"), []
        for level in range(levels):
            if level:
                skips.append(y)
                y = average_pool(conv(y, self.width << level, f"down{level}"), 2)
            y = self._blocks(y, level, self.blocks[level], f"encoder{level}")
        y = conv(jnp.concatenate([y, windows.pop()], -1), y.shape[-1], "joined", 1)
        for level in reversed(range(levels - 1)):
            y = conv(y, self.width << level, f"up{level}")
            y = enlarged(y, (2,) * len(sizes), "linear").astype(self.dtype)
            beside = [windows.pop()] if windows else []
            y = jnp.concatenate([y, skips.pop(), *beside], -1)
            if level:
                y = conv(y, self.width << level, f"reduced{level}", 1)
            y = self._blocks(y, level, self.blocks[level], f"decoder{level}")
        y = self._blocks(y, 0, self.refinement, "refinement")
        y = Conv(x.shape[-1], use_bias=False, kernel_init=BRANCH, name="head")(y)
        return cropped(y + image.astype(jnp.float32), before, sizes)

    def _windows(self, image: Array, train: bool, patch: int) -> list[Array]:
        """Maps of the Swin transformer, finest first."""
        swin = Swin(
            width=self.width * patch,
            depths=self.swin_depths,
            heads=self.swin_heads,
            patch=patch,
            window=self.window,
            drop_path=self.drop_path,
            dtype=self.dtype,
            name="swin",
        )
        return list(swin.features(image, train).maps)

    def _blocks(self, y: Array, level: int, count: int, name: str) -> Array:
        for i in range(count):
            hidden = self.expansion * y.shape[-1]
            block = SpachBlock(self.heads[level], hidden, self.dtype, name=f"{name}_block{i}")
            y = block(y)
        return y


class SpachBlock(nn.Module):
    """Attention of channels and two gated feed-forwards, each after a norm and added.

    Attributes:
        heads: of the attention.
        hidden: channels of the feed-forwards' halves.
        dtype: of the computation and the output; parameters are float32.
    """

    heads: int
    hidden: int
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channel"]
    ) -> Float[Array, "batch *spatial channel"]:
        """Apply to an image, 2D or 3D."""
        parts = (
            TransposedAttention(self.heads, dtype=self.dtype, name="attention"),
            GatedFeedForward(self.hidden, dtype=self.dtype, name="depthwise"),
            GatedFeedForward(self.hidden, depthwise=False, dtype=self.dtype, name="full"),
        )
        for i, part in enumerate(parts):
            x = x + part(LayerNorm(1e-5, self.dtype, name=f"norm{i}")(x))
        return x

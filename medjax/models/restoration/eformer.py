"""Eformer: a U-shaped transformer of windows that is shown edges on every scale."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.layers.attention import Implementation
from medjax.layers.conv import Conv, ConvTranspose, require_image
from medjax.layers.feed_forward import LocalFeedForward
from medjax.layers.initialise import BRANCH
from medjax.layers.layer_norm import LayerNorm
from medjax.layers.pad import cropped, padded
from medjax.layers.pool import average_pool
from medjax.layers.sobel import SobelConv
from medjax.layers.window import WindowAttention


class Eformer(nn.Module):
    """Eformer of Luthra et al. 2021 (arXiv:2109.08044), edge enhancement based transformer.

    As in the paper: learnable Sobel kernels find edges in the image, which are put beside the
    features of every level; an encoder of window attention (Uformer's block, Wang et al. 2022,
    arXiv:2106.03106), concatenation, convolution and reduction, and a decoder that mirrors it
    with skips; residual learning. Where the paper is silent: edges come to the coarser levels by
    averaging, convolutions after a concatenation have window 3 and a leaky ReLU, and levels
    change by strided and transposed convolutions. What differs: 2D and 3D, and images of any
    size, padded by reflection and cropped back. The paper trains by mean squares and a
    perceptual loss on several scales.

    Attributes:
        features: channels of each level, finest first; heads divide them.
        blocks: transformer blocks of each level, finest first, on either side.
        heads: of each level.
        window: size of the attention's windows along each axis.
        edges: channels of the Sobel convolution.
        mlp_ratio: hidden channels of the feed-forwards over channels.
        residual: whether the input minus the network is returned; else the network alone.
        implementation: see `medjax.layers.attention.Implementation`.
        dtype: of the computation. Parameters, the last layer and the output are float32.
    """

    features: tuple[int, ...] = (32, 64, 128)
    blocks: tuple[int, ...] = (2, 2, 2)
    heads: tuple[int, ...] = (1, 2, 4)
    window: int = 8
    edges: int = 32
    mlp_ratio: int = 4
    residual: bool = True
    implementation: Implementation = None
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *spatial channel"]:
        """Denoise a floating ``(batch, *spatial, channel)`` image, 2D or 3D, of any size.

        Raises:
            InputError: for another rank or dtype, or fields that do not fit each other.
        """
        require_image(x, type(self).__name__)
        levels, sizes = len(self.features), x.shape[1:-1]
        if levels < 2 or not len(self.heads) == len(self.blocks) == levels:
            expected = f"at least two levels, with blocks and heads for each of {levels}"
            raise InputError("Eformer", expected, (self.features, self.blocks, self.heads))
        image, before = padded(x, [2 ** (levels - 1)] * len(sizes))

        def attended(y: Array, level: int, name: str) -> Array:
            for i in range(self.blocks[level]):
                block = LocalWindowBlock(
                    self.heads[level],
                    (self.window,) * len(sizes),
                    self.mlp_ratio,
                    self.implementation,
                    self.dtype,
                    name=f"{name}_block{i}",
                )
                y = block(y)
            return y

        def fused(parts: list[Array], level: int, name: str) -> Array:
            conv = Conv(self.features[level], dtype=self.dtype, name=f"{name}_conv")
            return nn.leaky_relu(conv(jnp.concatenate(parts, -1)))

        edges = [SobelConv(self.edges, self.dtype, name="sobel")(image)]
        for _ in range(levels - 1):
            edges.append(average_pool(edges[-1], 2))
        y = nn.leaky_relu(Conv(self.features[0], dtype=self.dtype, name="embed")(image))
        skips = []
        for level in range(levels - 1):
            y = attended(y, level, f"encoder{level}")
            y = fused([y, edges[level]], level, f"encoder{level}")
            skips.append(y)
            width = self.features[level + 1]
            down = {"kernel_init": BRANCH, "dtype": self.dtype, "name": f"down{level + 1}"}
            y = Conv(width, 4, 2, **down)(y)
        y = attended(y, levels - 1, "middle")
        y = fused([y, edges[-1]], levels - 1, "middle")
        for level in reversed(range(levels - 1)):
            y = ConvTranspose(self.features[level], dtype=self.dtype, name=f"up{level}")(y)
            y = fused([y, skips.pop(), edges[level]], level, f"decoder{level}")
            y = attended(y, level, f"decoder{level}")
        y = cropped(Conv(x.shape[-1], kernel_init=BRANCH, name="head")(y), before, sizes)
        return x.astype(jnp.float32) - y if self.residual else y


class LocalWindowBlock(nn.Module):
    """Uformer's block: attention in windows, then a feed-forward that looks around.

    Wang et al. 2022 (arXiv:2106.03106, section 3.2, "LeWin"); each after a norm and added.

    Attributes:
        heads: see `medjax.layers.window.WindowAttention`, as for ``window``.
        mlp_ratio: hidden channels of the feed-forward over channels.
        implementation: see `medjax.layers.attention.Implementation`.
        dtype: of the computation and the output; parameters are float32.
    """

    heads: int
    window: tuple[int, ...]
    mlp_ratio: int
    implementation: Implementation = None
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channel"]
    ) -> Float[Array, "batch *spatial channel"]:
        """Apply to an image, 2D or 3D."""
        attention = WindowAttention(
            self.heads,
            self.window,
            implementation=self.implementation,
            dtype=self.dtype,
            name="attention",
        )
        hidden = self.mlp_ratio * x.shape[-1]
        forward = LocalFeedForward(hidden, self.dtype, name="feed_forward")
        for i, part in enumerate((attention, forward)):
            x = x + part(LayerNorm(1e-5, self.dtype, name=f"norm{i}")(x))
        return x

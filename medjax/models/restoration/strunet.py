"""StruNet: a U-shaped denoiser of window attention and residual blocks side by side."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.layers.attention import Implementation
from medjax.layers.conv import Conv, ConvTranspose, require_image
from medjax.layers.initialise import BRANCH
from medjax.layers.pad import cropped, padded
from medjax.layers.residual import PlainResidual
from medjax.models.swin import SwinBlock


class StruNet(nn.Module):
    """StruNet of Ma et al. 2023 (doi:10.1002/mp.16550).

    "Perceptual and low-rank regularized transformer for medical image denoising". As the paper
    describes it: an encoder and a decoder whose block is a pair of Swin blocks, in windows and
    in shifted windows, in parallel with a residual block of convolutions. Its loss is a
    reconstruction loss with a perceptual and a low-rank term, the last of which is
    `medjax.losses.low_rank`. Where its abstract is silent: both paths are put side by side and
    fused by a convolution of window 1, levels change by strided and transposed convolutions,
    skips are concatenated, and the network predicts the noise. What differs: 2D and 3D, and
    images of any size, padded by reflection and cropped back.

    Attributes:
        features: channels of each level, finest first; heads divide them.
        depths: pairs of Swin blocks, and residual blocks, of each level on either side.
        heads: of each level.
        window: size of the windows along each axis.
        mlp_ratio: channels within the Swin blocks' MLPs over channels.
        residual: whether the input minus the network is returned; else the network alone.
        implementation: see `medjax.layers.attention.Implementation`.
        dtype: of the computation. Parameters, the last layer and the output are float32.
    """

    features: tuple[int, ...] = (32, 64, 128, 256)
    depths: tuple[int, ...] = (1, 1, 1, 1)
    heads: tuple[int, ...] = (2, 4, 8, 16)
    window: int = 8
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
        if levels < 2 or not len(self.heads) == len(self.depths) == levels:
            expected = f"at least two levels, with depths and heads for each of {levels}"
            raise InputError("StruNet", expected, (self.features, self.depths, self.heads))
        image, before = padded(x, [2 ** (levels - 1)] * len(sizes))

        def block(y: Array, level: int, name: str) -> Array:
            if not self.depths[level]:
                return y
            options = (self.heads[level], self.window, self.depths[level], self.mlp_ratio)
            dual = DualPath(*options, self.implementation, self.dtype, name=name)
            return dual(y)

        linear = {"kernel_init": BRANCH, "dtype": self.dtype}  # no activation follows them
        y, skips = Conv(self.features[0], **linear, name="embed")(image), []
        for level, width in enumerate(self.features):
            if level:
                skips.append(y)
                y = Conv(width, 2, 2, **linear, name=f"down{level}")(y)
            y = block(y, level, f"encoder{level}")
        for level in reversed(range(levels - 1)):
            width = self.features[level]
            y = ConvTranspose(width, dtype=self.dtype, name=f"up{level}")(y)
            y = jnp.concatenate([y, skips.pop()], -1)
            y = Conv(width, 1, **linear, name=f"reduced{level}")(y)
            y = block(y, level, f"decoder{level}")
        y = cropped(Conv(x.shape[-1], kernel_init=BRANCH, name="head")(y), before, sizes)
        return x.astype(jnp.float32) - y if self.residual else y


class DualPath(nn.Module):
    """Swin blocks and residual blocks on one input, fused by a convolution of window 1.

    Attributes:
        heads: see `medjax.layers.window.WindowAttention`.
        window: size of the windows along each axis.
        depth: pairs of Swin blocks, and residual blocks.
        mlp_ratio: see `StruNet`, as for ``implementation``.
        dtype: of the computation and the output; parameters are float32.
    """

    heads: int
    window: int
    depth: int
    mlp_ratio: int
    implementation: Implementation = None
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channel"]
    ) -> Float[Array, "batch *spatial channel"]:
        """Apply to an image, 2D or 3D."""
        window, channels = (self.window,) * (x.ndim - 2), x.shape[-1]
        attended = convolved = x
        for i in range(2 * self.depth):
            swin = SwinBlock(
                self.heads,
                window,
                bool(i % 2),
                self.mlp_ratio,
                version=1,
                pretrained=None,
                implementation=self.implementation,
                epsilon=1e-5,
                dtype=self.dtype,
                name=f"swin{i}",
            )
            attended = swin(attended, 0.0, False)
        for i in range(self.depth):
            residual = PlainResidual(channels, dtype=self.dtype, name=f"residual{i}")
            convolved = residual(convolved)
        both = jnp.concatenate([attended, convolved], -1)
        return Conv(channels, 1, kernel_init=BRANCH, dtype=self.dtype, name="fusion")(both)

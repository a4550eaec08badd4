"""Pyramidal convolutions that distil, with a branch for the gradient map."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.image.resize import gradient_magnitude
from medjax.layers.conv import Conv, Size, require_image
from medjax.layers.implicit import LocalImplicit
from medjax.layers.initialise import FAINT
from medjax.layers.map_attention import EntropyAttention

from .arbitrary_scale import output_sizes


class MultiDistillation(nn.Module):
    """Features that are refined step by step, a part of which is kept at each.

    The residual feature distillation block (RFDN, Liu et al. 2020, arXiv:2009.11551)
    with pyramidal convolutions (Duta et al. 2020, arXiv:2006.11538: windows of several sizes
    side by side) in its shallow residual blocks, and `EntropyAttention` at the end.

    Attributes:
        features: channels, those of the input.
        kernel_sizes: windows of the pyramid.
        steps: of refinement.
        dtype: of the computation and the output; parameters are float32.
    """

    features: int
    kernel_sizes: tuple[int, ...] = (3, 5, 7)
    steps: int = 3
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "batch *spatial features"]:
        """Apply to a floating ``(batch, *spatial, features)`` image."""
        kept, y = [], x.astype(self.dtype)
        half = max(1, self.features // 2)
        widths = [self.features // len(self.kernel_sizes)] * len(self.kernel_sizes)
        widths[0] += self.features - sum(widths)
        for step in range(self.steps):
            kept.append(nn.relu(Conv(half, 1, dtype=self.dtype, name=f"keep{step}")(y)))
            pyramid = [
                Conv(width, window, dtype=self.dtype, name=f"refine{step}_{window}")(y)
                for width, window in zip(widths, self.kernel_sizes, strict=True)
            ]
            y = nn.relu(y + jnp.concatenate(pyramid, -1))
        kept.append(nn.relu(Conv(half, dtype=self.dtype, name="last")(y)))
        fuse = Conv(self.features, 1, kernel_init=FAINT, dtype=self.dtype, name="fuse")
        y = fuse(jnp.concatenate(kept, -1))
        attention = EntropyAttention(max(8, self.features // 16), self.dtype, name="attention")
        return x.astype(self.dtype) + attention(y)


class PyramidalDistillation(nn.Module):
    """Pyramidal feature multi-distillation network of Ren et al. 2021, for any scale.

    Realistic medical image super-resolution with pyramidal feature multi-distillation networks
    for intelligent healthcare systems, doi:10.1007/s00521-021-06287-x. As in the paper's
    abstract: blocks that join pyramidal convolution and shallow residual blocks; two branches,
    of which that of the gradient map informs that of the image; channel attention aware of
    information entropy and contrast; an upsampler to any scale. The paper trains with L1 and a
    contextual loss on gradient maps: ``on_gradients(l1)`` and ``on_gradients(contextual(...))``
    of `medjax.losses.perceptual`. This implementation's choice: the form of the blocks, LIIF's
    decoder as upsampler, and a gradient map that joins the image's features where they are
    finest, so that the loss of the image reaches it. 2D and 3D.

    Attributes:
        scale: factor of enlargement where no size is asked for, one number or one an axis.
        features: channels.
        blocks: of the image's branch, each followed by a convolution of the other.
        kernel_sizes: windows of the pyramids.
        hidden: channels of the upsamplers' layers.
        dtype: of the computation. Parameters, the last layer and the output are float32.
    """

    scale: Size = 2
    features: int = 48
    blocks: int = 6
    kernel_sizes: tuple[int, ...] = (3, 5, 7)
    hidden: tuple[int, ...] = (64, 64)
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self, x: Array, size: tuple[int, ...] | None = None, train: bool = False
    ) -> Float[Array, "batch *size channel"]:
        """Map an image to another number of voxels; arguments and errors as for `LIIF`.

        Raises:
            InputError: also for other numbers of windows than 1 to ``features``.
        """
        require_image(x, type(self).__name__)
        if not 1 <= len(self.kernel_sizes) <= self.features:
            raise InputError("kernel_sizes", f"1 to {self.features}", self.kernel_sizes)
        sizes = output_sizes(x.shape[1:-1], self.scale, size)

        def conv(y: Array, name: str, **options) -> Array:
            return Conv(self.features, dtype=self.dtype, name=name, **options)(y)

        start = y = conv(x, "start")
        edges = conv(gradient_magnitude(x), "edges")
        for number in range(self.blocks):
            block = MultiDistillation(
                self.features, self.kernel_sizes, dtype=self.dtype, name=f"block{number}"
            )
            y = block(y)
            both = nn.relu(conv(jnp.concatenate([edges, y], -1), f"join{number}"))
            edges = edges + conv(both, f"edges{number}", kernel_init=FAINT)
        y = start + conv(y, "body", kernel_init=FAINT)

        def upsampled(y: Array, channels: int, name: str) -> Array:
            return LocalImplicit(channels, self.hidden, self.dtype, name=name)(y, sizes)

        gradient = upsampled(edges, x.shape[-1], "gradient")
        y = jnp.concatenate([upsampled(y, self.features, "upscale"), gradient], -1)
        return Conv(x.shape[-1], name="head")(y)

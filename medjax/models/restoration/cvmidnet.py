"""CVMIDNet: a denoiser of complex-valued convolutions."""

from __future__ import annotations

from typing import Literal

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.layers.complex_conv import ComplexBatchNorm, ComplexConv, crelu
from medjax.layers.conv import Conv, require_image


class CVMIDNet(nn.Module):
    """CVMIDNet of Rawat, Rana & Kumar 2021 (doi:10.1016/j.bspc.2021.102859).

    "A novel complex-valued convolutional neural network for medical image denoising". As there:
    complex-valued convolutions (Trabelsi et al. 2018, arXiv:1705.09792) with the rectifier of
    both parts, and residual learning: the network predicts the noise, which is taken away.
    Depth and width are DnCNN's, which the paper compares with, and are this implementation's
    choice, as are real images that enter with imaginary parts of zero and leave as the real
    part. What differs: 2D and 3D, complex images too, and no norm unless one is asked for.

    Attributes:
        features: complex channels of the hidden layers.
        depth: number of convolutions, at least 2.
        pairs: the image's channels are real parts, then imaginary parts, and so are the
            output's; else they are real.
        norm: "batch" for `medjax.layers.complex_conv.ComplexBatchNorm` on all hidden layers but
            the first.
        residual: whether the input minus the network is returned; see `DnCNN`.
        dtype: of the computation. Parameters, the last layer and the output are float32.
    """

    features: int = 64
    depth: int = 17
    pairs: bool = False
    norm: Literal["none", "batch"] = "none"
    residual: bool = True
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *spatial channel"]:
        """Denoise a floating ``(batch, *spatial, channel)`` image, 2D or 3D.

        Raises:
            InputError: for another rank, dtype or norm, a depth below 2, or an odd number of
                channels of a complex image.
        """
        require_image(x, type(self).__name__)
        if self.depth < 2:
            raise InputError("depth", "at least 2", self.depth)
        if self.norm not in ("none", "batch"):
            raise InputError("norm", "none or batch", repr(self.norm))
        channels = x.shape[-1]
        y = x if self.pairs else jnp.concatenate([x, jnp.zeros_like(x)], axis=-1)
        for layer in range(self.depth - 1):
            normed = self.norm == "batch" and layer > 0
            conv = ComplexConv(
                self.features, use_bias=not normed, dtype=self.dtype, name=f"conv{layer}"
            )
            y = conv(y)
            if normed:
                norm = ComplexBatchNorm(name=f"norm{layer}")
                y = norm(y.astype(jnp.float32), train).astype(self.dtype)
            y = crelu(y)
        # The real part of a complex convolution is a real one of both parts.
        head = (
            ComplexConv(channels // 2, name="head") if self.pairs else Conv(channels, name="head")
        )
        y = head(y.astype(jnp.float32))
        return x.astype(jnp.float32) - y if self.residual else y

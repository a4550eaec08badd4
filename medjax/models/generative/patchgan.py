"""PatchGAN: a discriminator of an image's parts."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.layers.conv import Conv, require_image
from medjax.layers.norm import Norm, normalization
from medjax.layers.spectral import SpectralConv

from .dcgan import INIT


class PatchGAN(nn.Module):
    """PatchGAN (Isola et al. 2017, arXiv:1611.07004, section 3.2.2 and appendix 6.1.2).

    As in the authors' code: convolutions of window 4, of which all but the last two halve the
    image, leaky ReLU, norms on all but the first and the last. With four widths each output
    sees 70 voxels along each axis. What differs: 2D and 3D by the input, and spectral
    normalisation where asked for.

    Attributes:
        features: channels of the convolutions; a last one makes one logit.
        norm: see `medjax.layers.Norm`: "batch" in pix2pix, "instance" in CycleGAN.
        spectral: normalise the convolutions' weights; the norm is then best "none".
        dtype: of the computation. Parameters, the last layer and the output are float32.
    """

    features: tuple[int, ...] = (64, 128, 256, 512)
    norm: Norm = "batch"
    spectral: bool = False
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self, x: Array, condition: Array | None = None, train: bool = False
    ) -> Float[Array, "batch *reduced 1"]:
        """A logit for each part of an image.

        Args:
            x: floating ``(batch, *spatial, channel)``.
            condition: an image that it belongs to, of the same spatial sizes: its channels join.
            train: whether batch norm and power iterations move on.

        Raises:
            InputError: for another rank or dtype, a condition of other sizes, and an image of
                which nothing is left.
        """
        require_image(x, type(self).__name__)
        if condition is not None:
            if condition.shape[:-1] != x.shape[:-1]:
                raise InputError("condition", f"(*{x.shape[:-1]}, channel)", condition.shape)
            x = jnp.concatenate([x, condition.astype(x.dtype)], -1)
        halvings = len(self.features) - 1
        if halvings < 1 or min(x.shape[1:-1]) >> halvings < 3:
            expected = f"sizes of {3 << max(halvings, 1)} at least, for two widths or more"
            raise InputError("image", expected, x.shape[1:-1])
        for level, width in enumerate((*self.features, 1)):
            last = level == len(self.features)
            kind = self.norm if 0 < level < len(self.features) else "none"
            norm = normalization(kind, width, train=train, name=f"norm{level}")
            options = {
                "use_bias": norm is None,
                "padding": 1,
                "kernel_init": INIT,
                "dtype": jnp.float32 if last else self.dtype,
                "name": f"conv{level}",
            }
            strides = 2 if level < halvings else 1
            if self.spectral:
                x = SpectralConv(width, 4, strides, **options)(x, train)
            else:
                x = Conv(width, 4, strides, **options)(x)
            x = x if norm is None else norm(x.astype(jnp.float32)).astype(self.dtype)
            x = x if last else nn.leaky_relu(x, 0.2)
        return x

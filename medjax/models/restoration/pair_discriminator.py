"""A discriminator of pairs, whose features a generator can be matched by."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.layers.conv import Conv, Size, per_axis, require_image
from medjax.layers.norm import Norm, normalization
from medjax.layers.pool import global_average_pool
from medjax.layers.subpixel import scale_stages


class PairDiscriminator(nn.Module):
    """Is a fine image the one that a coarse image belongs to? (MedSRGAN's discriminator)

    Gu et al. 2020 (doi:10.1007/s11042-020-08980-w). As in the paper: the fine and
    the coarse image go through convolutions of their own, until their features lie on one grid
    and join; more convolutions judge them; leaky ReLU with a slope of 0.2; and the features of
    five layers are given out, for the generator's adversarial feature loss. The numbers of
    channels, and a mean over places before the last layer, are this implementation's choice, as
    is that there is no norm unless one is asked for.

    Attributes:
        scale: of the fine image's grid to the coarse one's, one number or one an axis.
        features: channels of the two paths, then of each of the joint convolutions, which halve.
        norm: see `medjax.layers.Norm`; on all convolutions but the first ones.
        dtype: of the computation. Parameters, the last layer and the output are float32.
    """

    scale: Size = 4
    features: tuple[int, ...] = (64, 128, 256, 512)
    norm: Norm = "none"
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self, x: Array, coarse: Array, train: bool = False
    ) -> tuple[Float[Array, "batch 1"], list[Array]]:
        """The logit of a pair, and the maps of five layers, finest first.

        Args:
            x: fine images, floating ``(batch, *spatial, channel)``.
            coarse: the coarse images, ``scale`` times smaller.
            train: whether batch norm learns.

        Raises:
            InputError: for another rank or dtype, or sizes that do not fit.
        """
        require_image(x, type(self).__name__)
        scale = per_axis(self.scale, x.ndim - 2, "scale")
        small = tuple(n // s for n, s in zip(x.shape[1:-1], scale, strict=True))
        if coarse.shape[1:-1] != small or any(
            n % s for n, s in zip(x.shape[1:-1], scale, strict=True)
        ):
            raise InputError("coarse", f"sizes {x.shape[1:-1]} by {scale}", coarse.shape[1:-1])

        def convolved(y: Array, width: int, name: str, strides: Size = 1) -> Array:
            kind = "none" if name.endswith("0") else self.norm
            norm = normalization(kind, width, train=train, name=f"{name}_norm")
            options = {"use_bias": norm is None, "dtype": self.dtype, "name": name}
            y = Conv(width, 3, strides, padding="half", **options)(y)
            y = y if norm is None else norm(y.astype(jnp.float32)).astype(self.dtype)
            return nn.leaky_relu(y, 0.2)

        first, *rest = self.features
        maps = [y := convolved(x, first, "fine0")]
        for number, step in enumerate(scale_stages(scale), start=1):
            y = convolved(y, first, f"fine{number}", step)
        maps.append(y)
        other = convolved(convolved(coarse, first, "coarse0"), first, "coarse1")
        y = jnp.concatenate([y, other], -1)
        for number, width in enumerate(rest, start=1):
            y = convolved(y, width, f"joint{number}", 2)
            maps.append(y)
        return nn.Dense(1, name="head")(global_average_pool(y)), maps[:5]

"""The ResNet generator of CycleGAN: from an image to one of another kind."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.layers.conv import Conv, require_image
from medjax.layers.norm import Norm, normalization
from medjax.layers.transposed import OverlappingTranspose

from .dcgan import INIT


class TranslationResNet(nn.Module):
    """CycleGAN's generator (Zhu et al. 2017, arXiv:1703.10593, appendix 7.2; Johnson et al. 2016).

    As there: a window of 7, convolutions that halve, residual blocks, transposed convolutions
    of window 3 that double, a window of 7 and tanh; reflection at the borders, instance norm.
    What differs: 2D and 3D by the input.

    Attributes:
        channels: of the output.
        features: channels of each size, finest first; 64, 128 and 256 in the paper.
        blocks: residual blocks on the coarsest size: 9 for images of 256, 6 for 128.
        norm: see `medjax.layers.Norm`.
        activation: of the last layer; tanh makes images in [-1, 1].
        dtype: of the computation. Parameters, the last layer and the output are float32.
    """

    channels: int = 1
    features: tuple[int, ...] = (64, 128, 256)
    blocks: int = 9
    norm: Norm = "instance"
    activation: Callable[[Array], Array] = jnp.tanh
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *spatial channel"]:
        """Map a floating ``(batch, *spatial, channel)`` image to one of the same size.

        Raises:
            InputError: for another rank or dtype, sizes that are no multiples of what the
                network reduces by, and images too small to be reflected.
        """
        require_image(x, type(self).__name__)
        factor = 2 ** (len(self.features) - 1)
        least = max(4, 2 * factor)
        if any(n % factor or n < least for n in x.shape[1:-1]):
            expected = f"sizes that are multiples of {factor}, of {least} at least"
            raise InputError("image", expected, x.shape[1:-1])

        def normed(y: Array, name: str) -> Array:
            norm = normalization(self.norm, y.shape[-1], train=train, name=f"{name}_norm")
            return y if norm is None else norm(y.astype(jnp.float32)).astype(self.dtype)

        options = {"use_bias": self.norm == "none", "kernel_init": INIT, "dtype": self.dtype}

        def convolved(y: Array, width: int, name: str, window: int = 3) -> Array:
            conv = Conv(width, window, padding=0, name=name, **options)
            return normed(conv(reflected(y, window // 2)), name)

        y = nn.relu(convolved(x, self.features[0], "start", 7))
        for level, width in enumerate(self.features[1:]):
            conv = Conv(width, 3, 2, padding=1, name=f"down{level}", **options)
            y = nn.relu(normed(conv(y), f"down{level}"))
        for number in range(self.blocks):
            branch = nn.relu(convolved(y, y.shape[-1], f"block{number}_first"))
            y = y + convolved(branch, y.shape[-1], f"block{number}_second")
        for level, width in enumerate(reversed(self.features[:-1])):
            conv = OverlappingTranspose(width, 3, 2, name=f"up{level}", **options)
            y = nn.relu(normed(conv(y), f"up{level}"))
        y = Conv(self.channels, 7, padding=0, kernel_init=INIT, name="head")(reflected(y, 3))
        return self.activation(y)


def reflected(x: Array, margin: int) -> Float[Array, "batch *larger channel"]:
    """An image with a margin that mirrors it, the border voxel not repeated."""
    return jnp.pad(x, [(0, 0), *[(margin, margin)] * (x.ndim - 2), (0, 0)], mode="reflect")

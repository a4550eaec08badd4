"""SRDenseNet as a denoiser: dense blocks, and all that they found side by side."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.types import Array, Float
from medjax.layers.conv import Conv, require_image


class SRDenseNet(nn.Module):
    """SRDenseNet of Tong et al. 2017, without its enlargement, for images of one size.

    "Image super-resolution using dense skip connections" (doi:10.1109/ICCV.2017.514), which
    Geng et al. 2022 (doi:10.1109/TMI.2021.3113365) take as a denoiser of medical images. As
    there ("SRDenseNet_All"): dense blocks of convolutions of window 3, each block sees the
    first layer and all blocks before it, a bottleneck of window 1, and the last convolution.
    A block's first layer brings what it sees to ``growth`` channels, and the others see those
    of their block. What differs: no transposed convolutions, since nothing is enlarged; 2D and
    3D; and the network predicts the noise unless told otherwise.

    Attributes:
        growth: channels that each layer adds; 16 in the paper.
        layers: of each dense block; 8 there.
        blocks: number of dense blocks; 8 there.
        bottleneck: channels after the blocks; 256 there.
        residual: whether the input minus the network is returned; see `DnCNN`.
        dtype: of the computation. Parameters, the last layer and the output are float32.
    """

    growth: int = 16
    layers: int = 8
    blocks: int = 8
    bottleneck: int = 256
    residual: bool = True
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *spatial channel"]:
        """Denoise a floating ``(batch, *spatial, channel)`` image, 2D or 3D.

        Raises:
            InputError: for another rank or dtype.
        """
        require_image(x, type(self).__name__)

        def convolved(y: Array, features: int, name: str, window: int = 3) -> Array:
            return nn.relu(Conv(features, window, dtype=self.dtype, name=name)(y))

        seen = convolved(x, self.growth * self.layers, "stem")
        for block in range(self.blocks):
            y = convolved(seen, self.growth, f"block{block}_conv0")
            for layer in range(1, self.layers):
                name = f"block{block}_conv{layer}"
                y = jnp.concatenate([y, convolved(y, self.growth, name)], axis=-1)
            seen = jnp.concatenate([seen, y], axis=-1)
        y = convolved(seen, self.bottleneck, "bottleneck", 1)
        y = Conv(x.shape[-1], name="head")(y)
        return x.astype(jnp.float32) - y if self.residual else y

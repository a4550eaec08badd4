"""Groups of residual blocks with long and short skips: generators of RIRGAN and MedSRGAN."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.types import Array, Float
from medjax.layers.conv import Conv, Size, require_image
from medjax.layers.initialise import FAINT
from medjax.layers.map_attention import MapAttention
from medjax.layers.residual import ResidualGroup
from medjax.layers.subpixel import Upscale


class RIRGenerator(nn.Module):
    """The generator of RIRGAN: residual groups within a long skip, then sub-pixel convolutions.

    Yu et al. 2023 (RIRGAN: an end-to-end lightweight multi-task learning method for brain MRI
    super-resolution and denoising, doi:10.1016/j.compbiomed.2023.107632). As in the paper's
    abstract: residual in residual blocks on the small image, several groups with a long skip
    connection; noise is taken away in the same pass, where training images have it. The form of
    the groups follows RCAN (Zhang et al. 2018, arXiv:1807.02758) without its attention; the
    numbers of groups and blocks are this implementation's choice. What differs: 2D and 3D, and a
    scale for each axis.

    Attributes:
        scale: factor of enlargement, one number or one an axis; 1 denoises alone.
        features: channels.
        groups: number of residual groups.
        blocks: residual blocks of each.
        scaling: factor on the blocks' branches.
        attention: of the blocks, see `medjax.layers.map_attention.MapAttention`; with
            "channel" it is RCAN.
        dtype: of the computation. Parameters, the last layer and the output are float32.
    """

    scale: Size = 2
    features: int = 64
    groups: int = 5
    blocks: int = 5
    scaling: float = 1.0
    attention: MapAttention = "none"
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *larger channel"]:
        """Enlarge a floating ``(batch, *spatial, channel)`` image, 2D or 3D, by ``scale``.

        Raises:
            InputError: for another rank or dtype.
        """
        require_image(x, type(self).__name__)
        start = y = Conv(self.features, dtype=self.dtype, name="start")(x)
        for number in range(self.groups):
            y = ResidualGroup(
                self.features,
                self.blocks,
                scaling=self.scaling,
                attention=self.attention,
                dtype=self.dtype,
                name=f"group{number}",
            )(y)
        body = Conv(self.features, kernel_init=FAINT, dtype=self.dtype, name="body")
        y = start + body(y)
        y = Upscale(self.features, self.scale, dtype=self.dtype, name="upscale")(y)
        return Conv(x.shape[-1], name="head")(y)


class RWMAN(RIRGenerator):
    """Residual whole map attention network: the generator of MedSRGAN.

    Gu et al. 2020 (MedSRGAN: medical images super-resolution using generative adversarial
    networks, doi:10.1007/s11042-020-08980-w). As in the paper: 128 blocks with a
    weight for each value of their maps, a short skip for each 16 and a long one, two sub-pixel
    convolutions to scale 4. What differs: 2D and 3D, a scale for each axis; no channel of noise
    beside the image (their "MedSRGAN+"), which a caller may put there.

    Attributes:
        scale: see `RIRGenerator`, as for the others.
    """

    scale: Size = 4
    groups: int = 8
    blocks: int = 16
    attention: MapAttention = "whole_map"

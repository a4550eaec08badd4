"""CNCL: what is content and what is noise, learned by two networks that complete each other."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.layers.conv import Conv, require_image


class CNCL(nn.Module):
    """The generator of content-noise complementary learning (Geng et al. 2022).

    doi:10.1109/TMI.2021.3113365. As in the paper: one network predicts the content, another the
    noise; the content, and the image minus the noise, are fused by a convolution of window 1.
    Its networks are U-Nets, DnCNNs or SRDenseNets: any that map an image to one of as many
    channels, such as ``UNet(1)`` or ``DnCNN(residual=False)``. It is trained against a
    discriminator by `medjax.learners.adversarial.cncl`.

    Attributes:
        content: ``(image, train) -> image``, which predicts what is to be kept.
        noise: likewise, which predicts what is not; of the same kind or another.
        both: return the predicted noise too, beside the content in channels, as training needs
            it.
    """

    content: nn.Module
    noise: nn.Module
    both: bool = False

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *spatial channels"]:
        """Denoise a floating ``(batch, *spatial, channel)`` image, 2D or 3D.

        Returns:
            float32, of the channels of ``x``, or with ``both`` twice as many: first the content.

        Raises:
            InputError: for another rank or dtype, or one network in both places, whose
                parameters would be shared.
        """
        require_image(x, type(self).__name__)
        if self.noise is self.content:
            raise InputError("noise", "a network of its own, such as content.clone()", "content's")
        noise = self.noise(x, train=train)
        candidates = [self.content(x, train=train), x.astype(jnp.float32) - noise]
        content = Conv(x.shape[-1], 1, name="fusion")(jnp.concatenate(candidates, axis=-1))
        return jnp.concatenate([content, noise], axis=-1) if self.both else content

"""A U-Net whose encoder is a classifier's backbone."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.layers.blocks import ConvBlock
from medjax.layers.conv import Conv, ConvTranspose, require_image
from medjax.layers.norm import Norm
from medjax.layers.pad import cropped, padded
from medjax.models.backbone import Backbone


class BackboneUNet(nn.Module):
    """A U-Net on the feature maps of a backbone, whose weights may come from pretraining.

    With ``EfficientNet.named("b3")`` it is the generator of pix2pix with an EfficientNet-B3
    encoder (`medjax.learners.adversarial.pix2pix_efficientnet`). The decoder follows Ronneberger
    et al. 2015 (doi:10.1007/978-3-319-24574-4_28): up-convolutions of window 2, skips by
    concatenation, two convolutions a level. The backbone's pooled vector joins its coarsest
    map, so that every place knows of the whole image and every parameter of the backbone takes
    part. It is no network of one paper.

    Attributes:
        out_channels: channels of the output, which are logits or intensities.
        backbone: made with ``classes=0``; one with several maps, which halve exactly.
        features: channels of the decoder, coarsest first; one for each map, the last of which
            are at the image's own size.
        reduction: by which the backbone reduces in all; images are padded to a multiple.
        norm: of the decoder; see `medjax.layers.normalization`.
        activation: of the last layer, such as `jnp.tanh` for images in [-1, 1]; None for none.
        dtype: of the decoder's computation. Parameters, the last layer and the output are
            float32.
    """

    out_channels: int
    backbone: Backbone
    features: tuple[int, ...] = (256, 128, 64, 32, 16)
    reduction: int = 32
    norm: Norm = "instance"
    activation: Callable[[Array], Array] | None = None
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *spatial out"]:
        """Map an image to one of the same size.

        Args:
            x: floating, ``(batch, *spatial, channel)``, 2D or 3D, of any size.
            train: whether dropout acts and batch norms learn.

        Raises:
            InputError: for another rank or dtype, a backbone with classes, or a number of
                ``features`` that is not that of its maps.
        """
        require_image(x, type(self).__name__)
        sizes = x.shape[1:-1]
        image, before = padded(x, [self.reduction] * len(sizes))
        pooled, maps = self.backbone.features(image, train)
        if self.backbone.classes or len(maps) != len(self.features):
            expected = f"a backbone without classes and with {len(self.features)} maps"
            got = f"{self.backbone.classes} classes, {len(maps)} maps"
            raise InputError("backbone", expected, got)
        coarsest = maps[-1].astype(self.dtype)
        whole = pooled.reshape(x.shape[0], *(1,) * len(sizes), -1).astype(self.dtype)
        whole = jnp.broadcast_to(whole, (*coarsest.shape[:-1], pooled.shape[-1]))
        y = jnp.concatenate([coarsest, whole], -1)
        skips = [image, *maps[:-1]]
        for level, width in enumerate(self.features):
            skip = skips.pop().astype(self.dtype)
            pairs = zip(skip.shape[1:-1], y.shape[1:-1], strict=True)
            stride = tuple(-(-n // m) for n, m in pairs)
            if any(
                s * m != n for s, n, m in zip(stride, skip.shape[1:-1], y.shape[1:-1], strict=True)
            ):
                raise InputError("reduction", "a multiple of the backbone's own", self.reduction)
            y = ConvTranspose(width, stride, dtype=self.dtype, name=f"up{level}")(y)
            block = ConvBlock(width, norm=self.norm, dtype=self.dtype, name=f"decoder{level}")
            y = block(jnp.concatenate([skip, y], -1), train)
        y = Conv(self.out_channels, 1, name="head")(y)
        y = y if self.activation is None else self.activation(y)
        return cropped(y, before, sizes)

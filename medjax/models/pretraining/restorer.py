"""Networks that give an image back: what was hidden, moved or grey."""

from __future__ import annotations

import flax.linen as nn

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.models.backbone import Backbone

from .decoders import Hypercolumn, UpDecoder


class Restorer(nn.Module):
    """A network from images to images of the same size and channels.

    Attributes:
        backbone: a `Backbone`, on whose last map `UpDecoder` is put; or a whole encoder and
            decoder, such as `UNet` with as many output channels as the image has.
        width: see `UpDecoder`.
    """

    backbone: nn.Module
    width: int = 512

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *spatial channel"]:
        """Restore a floating ``(batch, *spatial, channel)`` image, 2D or 3D.

        Raises:
            InputError: for a network whose output has another shape.
        """
        if isinstance(self.backbone, Backbone):
            last = self.backbone.features(x, train).maps[-1]
            decoder = UpDecoder(x.shape[-1], self.width, dtype=last.dtype, name="decoder")
            return decoder(last, x.shape[1:-1])
        y = self.backbone(x, train=train)
        if y.shape != x.shape:
            raise InputError("backbone", f"one that maps images to {x.shape[1:]}", y.shape[1:])
        return y


class ColourModel(nn.Module):
    """Logits of a colour, or an intensity, at each place of a backbone's finest map.

    Attributes:
        backbone: any.
        width: see `Hypercolumn`.
    """

    backbone: Backbone
    width: int = 256

    @nn.compact
    def __call__(
        self, x: Array, bins: int, train: bool = False
    ) -> Float[Array, "batch *grid bins"]:
        """Apply to a floating ``(batch, *spatial, channel)`` image, 2D or 3D.

        Args:
            x: image.
            bins: logits at each place.
            train: whether dropout and stochastic depth act and batch norm learns.
        """
        maps = self.backbone.features(x, train).maps
        return Hypercolumn(bins, self.width, name="head")(maps)

"""AlexNet."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.types import Array
from medjax.layers.attend import ImageAttention, block_attention, stage_attention
from medjax.layers.conv import Size
from medjax.layers.conv_norm import ConvNorm
from medjax.layers.norm import Norm
from medjax.layers.pool import max_pool
from medjax.models.backbone import Backbone, Features

from .dense_head import DenseLayers

LAYERS = ((11, 4, 2, True), (5, 1, 2, True), (3, 1, 1, False), (3, 1, 1, False), (3, 1, 1, True))
"""Window, stride and padding of each convolution, and whether pooling follows."""


class AlexNet(Backbone):
    """AlexNet of Krizhevsky et al. 2012, in the form of Krizhevsky 2014 (arXiv:1404.5997).

    doi:10.1145/3065386 is the first, whose layers were split over two GPUs. As in the second;
    2D and 3D by the input. Images from 63 places an axis: the last map is averaged to the
    grid that the dense layers read, which at 224 does nothing.

    `features` gives what the second dense layer gives, and the maps that are pooled after
    the first, second and fifth convolution (reduced by 4, 8 and 16).

    Attributes:
        widths: channels of the five convolutions.
        grid: see `medjax.models.classifiers.dense_head.DenseLayers`; in 3D a smaller one or
            no dense layers suit better.
        hidden: likewise; with none, the head reads the mean of the last map.
        dropout: chance of dropping a value that a dense layer reads.
        norm: see `medjax.layers.Norm`; the original has none that lasted.
        attention: see `medjax.layers.attend.ImageAttention`: on each of the maps; "nonlocal"
            on the second and third.
        dtype: of the computation. Parameters, the pooled vector and logits are float32.
    """

    widths: tuple[int, int, int, int, int] = (64, 192, 384, 256, 256)
    grid: Size = 6
    hidden: tuple[int, ...] = (4096, 4096)
    dropout: float = 0.5
    norm: Norm = "none"
    attention: ImageAttention = "none"
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def features(self, x: Array, train: bool = False) -> Features:
        """Features of a floating ``(batch, *spatial, channel)`` image, 2D or 3D.

        Raises:
            InputError: for another rank or dtype, and for an image smaller than its windows.
        """
        maps = []
        for i, (width, layer) in enumerate(zip(self.widths, LAYERS, strict=True)):
            window, strides, padding, pooled = layer
            common = {"norm": self.norm, "padding": padding, "dtype": self.dtype}
            x = ConvNorm(width, window, strides, **common, name=f"conv{i}")(x, train)
            if not pooled:
                continue
            name = f"attention{len(maps)}"
            attention = block_attention(self.attention, width, self.dtype, name)
            if maps:
                attention = attention or stage_attention(self.attention, self.dtype, name)
            if attention is not None:
                x = attention(x)
            maps.append(x)
            x = max_pool(x, 3, 2)
        layers = DenseLayers(
            self.hidden, self.grid, self.dropout, drop_first=True, dtype=self.dtype, name="dense"
        )
        return Features(layers(x, train), tuple(maps))

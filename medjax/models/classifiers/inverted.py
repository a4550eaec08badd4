"""Inverted residual blocks, and what networks of them have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.types import Array, Float
from medjax.layers.attend import ImageAttention, block_attention, stage_attention
from medjax.layers.conv_norm import ConvNorm
from medjax.layers.drop import DropPath
from medjax.layers.norm import Norm
from medjax.layers.pool import global_average_pool
from medjax.layers.squeeze import SqueezeExcitation
from medjax.models.backbone import Backbone, Features

Activation = Literal["relu", "relu6", "hard_swish", "silu"]

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": nn.relu,
    "relu6": nn.relu6,
    "hard_swish": nn.hard_swish,
    "silu": nn.silu,
}


class Inverted(NamedTuple):
    """One block.

    Attributes:
        kernel: window of the depthwise convolution along each axis.
        expanded: channels of the depthwise convolution.
        features: output channels.
        strides: of the depthwise convolution, 1 or 2.
        activation: after the first two convolutions.
        squeezed: channels within squeeze-and-excitation; 0 where the block has no
            attention of any kind.
    """

    kernel: int
    expanded: int
    features: int
    strides: int
    activation: Activation
    squeezed: int


def rounded(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of ``divisor`` that is not below nine tenths of ``channels``.

    So scaled widths are rounded in the MobileNets' and EfficientNet's published networks.
    """
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * channels else nearest


class InvertedResidual(nn.Module):
    """A block of Sandler et al. 2018 (arXiv:1801.04381): wide within, narrow between.

    A 1x1 convolution expands, unless there is nothing to expand; a depthwise one looks
    around; attention; a 1x1 convolution without activation projects; and the input is
    added where it has the output's shape.

    Attributes:
        block: what it is made of.
        attention: see `medjax.layers.attend.ImageAttention`.
        gate: of squeeze-and-excitation.
        squeezed_activation: within squeeze-and-excitation.
        norm: see `medjax.layers.Norm`.
        epsilon: of the norms.
        drop_path: chance of `medjax.layers.drop.DropPath`.
        dtype: of the computation and the output.
    """

    block: Inverted
    attention: ImageAttention = "none"
    gate: Callable[[Array], Array] = nn.sigmoid
    squeezed_activation: Callable[[Array], Array] = nn.relu
    norm: Norm = "batch"
    epsilon: float = 1e-5
    drop_path: float = 0.0
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *spatial out"]:
        """Apply to a floating ``(batch, *spatial, channel)`` image."""
        kernel, expanded, features, strides, activation, squeezed = self.block
        common = {"norm": self.norm, "epsilon": self.epsilon, "dtype": self.dtype}
        active = {"activation": ACTIVATIONS[activation], **common}
        y = x
        if expanded != x.shape[-1]:
            y = ConvNorm(expanded, 1, **active, name="expand")(y, train)
        depthwise = ConvNorm(expanded, kernel, strides, groups=0, **active, name="depthwise")
        y = depthwise(y, train)
        if squeezed:
            if self.attention == "se":
                attention = SqueezeExcitation(
                    squeezed, self.squeezed_activation, self.gate, self.dtype, name="attention"
                )
            else:
                attention = block_attention(self.attention, expanded, self.dtype)
            if attention is not None:
                y = attention(y)
        y = ConvNorm(features, 1, activation=None, **common, name="project")(y, train)
        if strides == 1 and x.shape[-1] == features:
            y = x.astype(y.dtype) + DropPath(name="drop")(y, self.drop_path, train)
        return y


class InvertedNetwork(Backbone):
    """A stem, inverted residual blocks, a 1x1 convolution, and a head with dropout.

    `features` gives what the linear head reads, and a map for each size, the last block's
    before the image is reduced again (by 2, 4, 8, 16 and 32 in the published networks).

    Attributes:
        blocks: see `Inverted`.
        stem: channels of the first layer, a 3x3 convolution of stride 2.
        last: channels of the last convolution.
        hidden: channels of a dense layer between pooling and head; 0 for none.
        activation: of stem, last convolution and dense layer.
        hard_gate: whether squeeze-and-excitation's gate is the piecewise linear sigmoid.
        squeezed_activation: within squeeze-and-excitation.
        epsilon: of the norms.
        dropout: chance of dropping a value that the head reads.
        drop_path: chance of dropping a block's branch after the last; it grows from 0.
        norm: see `medjax.layers.Norm`.
        attention: see `medjax.layers.attend.ImageAttention`: in the blocks that may have
            any; "nonlocal" where the image is reduced by 8 and by 16.
        dtype: of the computation. Parameters, the pooled vector and logits are float32.
    """

    blocks: tuple[Inverted, ...] = ()
    stem: int = 32
    last: int = 1280
    hidden: int = 0
    activation: Activation = "relu6"
    hard_gate: bool = False
    squeezed_activation: Activation = "relu"
    epsilon: float = 1e-5
    dropout: float = 0.2
    drop_path: float = 0.0
    norm: Norm = "batch"
    attention: ImageAttention = "none"
    dtype: jnp.dtype | type = jnp.float32

    def setup(self):
        """Make the head."""
        super().setup()
        self.drop = nn.Dropout(self.dropout)

    @nn.compact
    def features(self, x: Array, train: bool = False) -> Features:
        """Features of a floating ``(batch, *spatial, channel)`` image, 2D or 3D.

        Raises:
            InputError: for another rank or dtype.
        """
        common = {"norm": self.norm, "epsilon": self.epsilon, "dtype": self.dtype}
        activation = ACTIVATIONS[self.activation]
        x = ConvNorm(self.stem, 3, 2, activation=activation, **common, name="stem")(x, train)
        maps = []

        def finished(x: Array) -> Array:
            name = f"attention{len(maps)}"
            attention = stage_attention(self.attention, self.dtype, name)
            if attention is not None and len(maps) in (2, 3):
                x = attention(x)
            maps.append(x)
            return x

        for i, block in enumerate(self.blocks):
            if block.strides > 1:
                x = finished(x)
            x = InvertedResidual(
                block,
                self.attention,
                nn.hard_sigmoid if self.hard_gate else nn.sigmoid,
                ACTIVATIONS[self.squeezed_activation],
                drop_path=self.drop_path * i / len(self.blocks),
                **common,
                name=f"block{i}",
            )(x, train)
        x = finished(x)
        x = ConvNorm(self.last, 1, activation=activation, **common, name="last")(x, train)
        pooled = global_average_pool(x)
        if self.hidden:
            dense = nn.Dense(self.hidden, dtype=self.dtype, name="hidden")
            pooled = activation(dense(pooled.astype(self.dtype))).astype(jnp.float32)
        return Features(pooled, tuple(maps))

    def classify(
        self, pooled: Float[Array, "batch channel"], train: bool = False
    ) -> Float[Array, "batch classes"]:
        """Logits of pooled features; needs rng "dropout" to train."""
        return self.head(self.drop(pooled, deterministic=not train))
